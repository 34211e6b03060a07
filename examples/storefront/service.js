// What every process of the component shares: who it is, by what Kiln tells it, and its configuration.

const { readFileSync } = require('node:fs');
const { hostname } = require('node:os');
const { join } = require('node:path');

const startedAt = Date.now();
const { env } = process;

const identity = {
  component: env.KILN_COMPONENT || 'storefront',
  version: env.KILN_VERSION || require('./package.json').version,
  environment: env.KILN_ENVIRONMENT || 'none',
  release: env.KILN_RELEASE || '0',
  instance: env.KILN_INSTANCE || `${hostname()}-${process.pid}`,
  process: env.KILN_PROCESS || 'web',
};

const DEFAULTS = { store_name: 'The Kiln Shop', currency: 'EUR', accent: '#b4532a' };

/** Rendered by Kiln at boot; without Kiln the defaults. A file that is there and broken stops the start. */
function readConfig() {
  let text;
  try {
    text = readFileSync(join(__dirname, 'config', 'app.json'), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return DEFAULTS;
    throw error;
  }
  return { ...DEFAULTS, ...JSON.parse(text) };
}

function log(message, fields = {}) {
  console.log(
    JSON.stringify({ at: new Date().toISOString(), process: identity.process, message, ...fields }),
  );
}

module.exports = { startedAt, identity, readConfig, log };
