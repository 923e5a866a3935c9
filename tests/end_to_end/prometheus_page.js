// Looks at a running tern-server through the pages of a Prometheus, in a real browser.
//
// Usage: node prometheus_page.js URL SCREENSHOTS
// URL is a Prometheus with deploy/prometheus/tern.rules.yml, under traffic for some minutes;
// SCREENSHOTS is a folder.
"use strict";

const assert = require("node:assert");
const path = require("node:path");
const {launch} = require("./browser.js");

const WAIT = {timeout: 60000};
// Two panels of deploy/grafana/tern.json.
const GRAPHS = [
  'sum by (method, status) (rate(tern_call_duration_seconds_count{stage="total"}[30s]))',
  "histogram_quantile(0.99, sum by (le, stage) (rate(tern_call_duration_seconds_bucket[30s])))",
];

function graphUrl(url) {
  const parameters = GRAPHS.map((expression, i) =>
    `g${i}.expr=${encodeURIComponent(expression)}&g${i}.tab=0&g${i}.range_input=3m`);
  return `${url}/classic/graph?${parameters.join("&")}`;
}

async function graphs(page, url, screenshots) {
  await page.goto(graphUrl(url), WAIT);
  await page.waitForFunction((count) => Array.from(document.querySelectorAll(".graph_wrapper"))
    .filter((graph) => graph.querySelector("svg path")).length === count, WAIT, GRAPHS.length);
  const series = await page.$$eval(".legend .label", (labels) => labels.length);
  assert.ok(series >= GRAPHS.length, `${series} series`);
  await page.screenshot({path: path.join(screenshots, "prometheus-graphs.png"), fullPage: true});
  return series;
}

async function alerts(page, url, screenshots) {
  await page.goto(`${url}/classic/alerts`, WAIT);
  const names = await page.$$eval("tr.alert_header", (rows) => rows.map((row) => row.textContent));
  assert.ok(names.length > 0);  // which of them fire is the figure prometheus' concern
  await page.screenshot({path: path.join(screenshots, "prometheus-alerts.png")});
  return names.length;
}

async function main() {
  const [url, screenshots] = process.argv.slice(2);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.setViewport({width: 1000, height: 900});
    const series = await graphs(page, url, screenshots);
    await page.setViewport({width: 1000, height: 520});
    const rules = await alerts(page, url, screenshots);
    console.log(`Prometheus shows ${series} series in ${GRAPHS.length} graphs, ${rules} alerts`);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
