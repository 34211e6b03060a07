const SHAPES = {
  jar: 'M38 18h24l2 8c14 6 22 18 22 32 0 20-16 32-36 32S14 78 14 58c0-14 8-26 22-32z',
  bowl: 'M10 38h80c0 26-14 42-30 44v6H40v-6C24 80 10 64 10 38z',
  vase: 'M44 8h12v26c14 6 20 18 20 30 0 16-10 26-26 26S24 80 24 64c0-12 6-24 20-30z',
  mug: 'M16 24h54v10h6c12 0 18 8 18 18s-8 20-24 20v6c0 6-6 10-14 10H30c-8 0-14-4-14-10zm54 20v18c8 0 14-4 14-10 0-5-3-8-8-8z',
  plate: 'M4 48h92c-6 14-20 22-32 24v4H36v-4C24 70 10 62 4 48z',
};

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text) {
  return String(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

function renderPage({ config, identity, style, products }) {
  const price = new Intl.NumberFormat('en', { style: 'currency', currency: config.currency });
  const accent = /^#[0-9a-f]{3,8}$/i.test(config.accent) ? config.accent : '#b4532a';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(config.store_name)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/${escapeHtml(style)}">
<body style="--accent: ${accent}">
<header><h1>${escapeHtml(config.store_name)}</h1><p>Fired once. Never changed again.</p></header>
<main>
${products.map((product) => renderProduct(product, price)).join('\n')}
</main>
<footer><dl>
${Object.entries(identity)
  .map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`)
  .join('\n')}
</dl></footer>
</body>
</html>
`;
}

function renderProduct(product, price) {
  const shape = SHAPES[product.shape] ?? SHAPES.bowl;
  return `<article>
<svg viewBox="0 0 100 100" aria-hidden="true"><path fill-rule="evenodd" d="${shape}"/></svg>
<h2>${escapeHtml(product.name)}</h2>
<p><span>${escapeHtml(product.glaze)}</span><b>${escapeHtml(price.format(product.price))}</b></p>
</article>`;
}

module.exports = { renderPage };
