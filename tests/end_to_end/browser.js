// Debian's Chromium, headless, for the scripts that look at pages.
"use strict";

const puppeteer = require("puppeteer-core");

exports.launch = () => puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],  // in containers, and as root
  protocolTimeout: 300000,
});
