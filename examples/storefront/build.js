// Makes public/ from site/: the style sheet under a name that changes with it, so that browsers may keep it for
// ever, and the catalogue, checked. The same input gives the same bytes.

const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const from = join(__dirname, 'site');
const to = join(__dirname, 'public');

const style = readFileSync(join(from, 'style.css'), 'utf8').replace(/\s*\n\s*/g, '\n');
const styleName = `style.${createHash('sha256').update(style).digest('hex').slice(0, 10)}.css`;
const products = JSON.parse(readFileSync(join(from, 'products.json'), 'utf8'));
for (const { id, name, price } of products) {
  if (!id || !name || !(price > 0))
    throw new Error(`site/products.json: "${id}" needs an id, a name and a price`);
}

rmSync(to, { recursive: true, force: true });
mkdirSync(to);
writeFileSync(join(to, styleName), style);
writeFileSync(join(to, 'catalogue.json'), `${JSON.stringify({ style: styleName, products })}\n`);
console.log(`built public/ with ${products.length} products`);
