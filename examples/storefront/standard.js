// The standard endpoints (docs/service-standard.md): the same answers from every service, in any language.

const { hostname } = require('node:os');
const { identity, startedAt } = require('./service.js');

const SECRET_KEY = /passw(?:or)?d|passphrase|secret|token|credential|private_?key|api_?key/i;

/** `tests`: functions by name that throw when something is wrong. Asking shows the last results; it runs none. */
function standardEndpoints({ config, tests, canServe }) {
  let report = runTests(tests);
  setInterval(() => {
    report = runTests(tests);
  }, 5_000).unref();

  return {
    '/service/status': () =>
      json({
        ...identity,
        machine_name: hostname(),
        runtime: `node ${process.versions.node}`,
        up_since: new Date(startedAt).toISOString(),
        up_duration_millis: Date.now() - startedAt,
        current_time: new Date().toISOString(),
      }),
    '/service/healthcheck': () => json(report),
    '/service/healthcheck/gtg': () => {
      const fit = canServe() && report.tests.every((test) => test.test_result === 'passed');
      return { status: fit ? 200 : 503, type: 'text/plain; charset=utf-8', body: fit ? 'OK' : 'NOT OK' };
    },
    '/service/config': () => {
      const shown = Object.entries(config).filter(([key]) => !SECRET_KEY.test(key));
      return json({
        values: Object.fromEntries(shown.map(([key, value]) => [key, String(value)])),
        hidden: Object.keys(config).filter((key) => SECRET_KEY.test(key)),
      });
    },
  };
}

function runTests(tests) {
  const began = performance.now();
  const results = Object.entries(tests).map(([name, test]) => {
    const startedMs = performance.now();
    const tested_at = new Date().toISOString();
    const outcome = attempt(test);
    return { test_name: name, ...outcome, duration_millis: performance.now() - startedMs, tested_at };
  });
  return {
    report_as_of: new Date().toISOString(),
    report_duration_millis: performance.now() - began,
    tests: results,
  };
}

function attempt(test) {
  try {
    test();
    return { test_result: 'passed' };
  } catch (error) {
    return { test_result: 'failed', message: error.message };
  }
}

function json(value) {
  return { status: 200, type: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}

module.exports = { standardEndpoints };
