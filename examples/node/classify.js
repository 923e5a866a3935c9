// Labels texts with a served classifier: node classify.js [--server ADDRESS] TEXT...
"use strict";

const path = require("node:path");
const {parseArgs} = require("node:util");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

// gRPC itself retries what the server refuses because it is full or going
// away, and obeys the time that the server says to wait.
const serviceConfig = JSON.stringify({
  loadBalancingConfig: [],
  methodConfig: [{
    name: [{service: "tern.v1.InferenceService"}],
    retryPolicy: {
      maxAttempts: 4, initialBackoff: "0.1s", maxBackoff: "2s", backoffMultiplier: 2,
      retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    },
  }],
});

function main() {
  const {values, positionals: texts} = parseArgs({
    options: {server: {type: "string", default: "127.0.0.1:8500"}},
    allowPositionals: true,
  });
  const definition = protoLoader.loadSync("tern/v1/inference_service.proto",
    {includeDirs: [path.join(__dirname, "../../proto")]});
  const {InferenceService} = grpc.loadPackageDefinition(definition).tern.v1;
  const client = new InferenceService(values.server, grpc.credentials.createInsecure(),
    {"grpc.service_config": serviceConfig});

  const request = {inputs: texts.map((text) => ({text})), topK: 1};
  const deadline = new Date(Date.now() + 30000);
  client.classify(request, {deadline}, (error, response) => {
    client.close();
    if (error) {
      console.error(`${grpc.status[error.code]}: ${error.details}`);
      process.exitCode = 1;
      return;
    }
    response.results.forEach(({labels: [best]}, i) => {
      console.log(`${best.label}\t${best.score.toFixed(4)}\t${texts[i]}`);
    });
  });
}

main();
