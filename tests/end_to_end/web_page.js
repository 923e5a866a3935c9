// Uses a running tern-server's page as a person does, in a real browser.
//
// Usage: node web_page.js URL SCREENSHOTS
// URL serves a classifier as "sst2-fp32", "sst2-int8" and "sst2-ternary", a question
// answerer as "qa" and an embedding model as "embed"; SCREENSHOTS is a folder.
"use strict";

const assert = require("node:assert");
const path = require("node:path");
const {launch} = require("./browser.js");

const WAIT = {timeout: 60000};

async function post(url, body) {
  const response = await fetch(url, {method: "POST", body: JSON.stringify(body)});
  return response.json();
}

// Replaces what a field holds.
async function type(page, selector, text) {
  await page.click(selector, {count: 3});
  await page.keyboard.down("Control");
  await page.keyboard.press("a");
  await page.keyboard.up("Control");
  await page.type(selector, text);
}

async function classify(page, url) {
  const text = "Two hours that I will not get back, and a plot without a single surprise.";
  await page.waitForSelector("#classify:not([hidden])", WAIT);
  await type(page, "#text", text);
  await page.click("#classify button");
  await page.waitForSelector("#classify article td", WAIT);
  // Again, since the pictures show times, and a model's first call is its slowest.
  await page.click("#classify button");
  await page.waitForSelector("#classify button:not([disabled])", WAIT);
  const articles = await page.$$eval("#classify article", (articles) => articles.map((article) => ({
    model: article.querySelector("h3").firstChild.textContent.trim(),
    rows: Array.from(article.querySelectorAll("tr")).map((row) => ({
      label: row.cells[0].textContent,
      text: row.cells[1].textContent,
      share: parseFloat(row.cells[0].style.backgroundSize),
    })),
  })));
  assert.deepStrictEqual(articles.map(({model}) => model), ["sst2-fp32", "sst2-int8", "sst2-ternary"]);
  for (const {model, rows} of articles) {
    const {labels} = (await post(`${url}/v1/classify`, {model, inputs: [{text}]})).results[0];
    assert.strictEqual(rows.length, labels.length);
    rows.forEach((row, i) => {
      assert.strictEqual(row.label, labels[i].label);
      assert.strictEqual(row.text, (100 * labels[i].score).toFixed(1) + " %");
      assert.ok(Math.abs(row.share - 100 * labels[i].score) < 0.1, JSON.stringify(row));
    });
  }
  return articles[2].rows[0];
}

async function answer(page, url) {
  const context = "A na\u00efve tern \u{1F426} breeds in the north and winters in the south.";
  const question = "Where does it breed?";
  await type(page, "#context", context);
  await type(page, "#question", question);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#answer article td", WAIT);
  const shown = await page.$eval("#answer blockquote", (quote) => ({
    text: quote.textContent,
    marked: quote.querySelector("mark")?.textContent,
  }));
  const result = (await post(`${url}/v1/answer`,
    {model: "qa", inputs: [{question, context}], nBest: 5})).results[0];
  const best = result.answers[0];
  if (best.score >= result.noAnswerScore) {
    assert.strictEqual(shown.text, context);
    assert.strictEqual(shown.marked, best.text);
  } else {
    assert.strictEqual(shown.marked, undefined);
  }
  const labels = await page.$$eval("#answer th", (cells) => cells.map((cell) => cell.textContent));
  assert.deepStrictEqual(labels, [...result.answers.map(({text}) => text), "no answer"]);
  return shown.marked;
}

// Texts come ranked by the cosines of the API's vectors.
async function compare(page, url) {
  const texts = ["What is good?", "the river is long", "a good film", "Paris is a city"];
  await type(page, "#subject", texts[0]);
  await type(page, "#others", texts.slice(1).join("\n"));
  await page.click("#embed button");
  await page.waitForSelector("#embed article td", WAIT);
  const rows = await page.$$eval("#embed tr", (rows) => rows.map((row) =>
    [row.cells[0].textContent, row.cells[1].textContent]));
  const {results} = await post(`${url}/v1/embed`,
    {model: "embed", inputs: texts.map((text) => ({text})), normalize: true});
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const expected = texts.slice(1)
    .map((text, i) => [text, dot(results[0].vector, results[i + 1].vector)])
    .sort((a, b) => b[1] - a[1]).map(([text, cosine]) => [text, cosine.toFixed(3)]);
  assert.deepStrictEqual(rows, expected);
  return rows.length;
}

// On a telephone nothing sticks out at the side.
async function checkNarrow(page, screenshots) {
  const wide = page.viewport();
  await page.setViewport({width: 360, height: 780});
  const [content, screen] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(content <= screen, `${content} of ${screen} pixels`);
  await page.screenshot({path: path.join(screenshots, "web-narrow.png")});
  await page.setViewport(wide);
}

// An error of the server is shown as text.
async function refuse(page) {
  await type(page, "#text", "x ".repeat(10));
  await page.evaluate(() => { document.getElementById("text").value = ""; });
  await page.evaluate(() => document.querySelector("#classify form").noValidate = true);
  await page.click("#classify button");
  await page.waitForSelector("#classify .wrong", WAIT);
  const message = await page.$eval("#classify .wrong", (shown) => shown.textContent);
  assert.match(message, /inputs\[0\]\.text: expected a text/);
}

// What a screen reader is told: every control has a name.
async function checkNames(page) {
  const nameless = await page.$$eval("input, textarea, button", (controls) => controls
    .filter((control) => !control.textContent && !(control.labels?.length > 0))
    .map((control) => control.outerHTML));
  assert.deepStrictEqual(nameless, []);
  assert.strictEqual(await page.$eval("html", (html) => html.lang), "en");
}

// The least contrast of text to its ground that WCAG AA allows is 4.5.
async function checkContrast(page) {
  const colors = await page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(["ground", "panel", "ink", "quiet", "accent", "on-accent", "bar",
      "mark", "wrong"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  });
  const luminance = (hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const [text, ground] of [["ink", "ground"], ["ink", "panel"], ["quiet", "panel"],
    ["quiet", "ground"], ["ink", "bar"], ["ink", "mark"], ["on-accent", "accent"],
    ["wrong", "panel"]]) {
    const [high, low] = [luminance(colors[text]), luminance(colors[ground])].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    assert.ok(contrast >= 4.5, `${text} on ${ground}: ${contrast.toFixed(2)}`);
  }
}

async function main() {
  const [url, screenshots] = process.argv.slice(2);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.setViewport({width: 960, height: 620});
    const elsewhere = [], errors = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(`${url}/`) && !request.url().startsWith("data:")) {
        elsewhere.push(request.url());
      }
    });
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    page.on("pageerror", (error) => errors.push(error.message));
    await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: "light"}]);
    await page.goto(url, WAIT);
    const best = await classify(page, url);
    const marked = await answer(page, url);
    const compared = await compare(page, url);
    await checkNames(page);
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: scheme}]);
      await checkContrast(page);
      await page.evaluate(() => window.scrollTo(0, 0));
      await page.screenshot({path: path.join(screenshots,
        scheme === "light" ? "web-classify.png" : "web-classify-dark.png")});
      if (scheme === "light") await checkNarrow(page, screenshots);
    }
    assert.deepStrictEqual(errors, []);
    await refuse(page);
    assert.deepStrictEqual(elsewhere, []);
    console.log(`${await browser.version()}: ${best.label} ${best.text} as the API says, ` +
      `in 3 precisions; answer marked (${JSON.stringify(marked)}), ${compared} texts ranked; ` +
      "light and dark, contrast >= 4.5, narrow, every control named, 0 requests elsewhere");
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
