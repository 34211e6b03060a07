// A second process of the same image: it has no port and takes no requests.

const { identity, log } = require('./service.js');

const ROUND_MS = 5_000;
let rounds = 0;

const timer = setInterval(() => {
  rounds += 1;
  log('counted the stock', { rounds, version: identity.version });
}, ROUND_MS);
log('working', { version: identity.version, release: identity.release });

function stop(signal) {
  clearInterval(timer);
  log('stopped', { signal, rounds });
}

process.once('SIGTERM', stop);
process.once('SIGINT', stop);
