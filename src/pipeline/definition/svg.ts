/** The graph as an SVG picture that stands alone: no script, no font or style from elsewhere, light and dark. */
import type { Graph, GraphNode } from './graph.ts';
import {
  type Box,
  layOut,
  MARGIN,
  type PlacedEdge,
  type PlacedGraph,
  type PlacedNode,
} from './layered-layout.ts';

/** Between the tip of an edge and its state. */
const TIP_GAP = 2;

const STYLE = `
  svg { --ink: #1f2937; --line: #6b7280; --fill: #f9fafb; --inner: #f3f4f6; --good: #15803d; --bad: #b91c1c; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e5e7eb; --line: #9ca3af; --fill: #1f2937; --inner: #111827; --good: #4ade80; --bad: #f87171; }
  }
  text { font: 13px ui-monospace, monospace; fill: var(--ink); text-anchor: middle; dominant-baseline: middle; }
  .detail, .label { font-size: 11px; fill: var(--line); }
  .label { paint-order: stroke; stroke: var(--inner); stroke-width: 4px; }
  .node { fill: var(--fill); stroke: var(--line); }
  .holder { fill: var(--inner); }
  .Succeed { stroke: var(--good); } .Fail { stroke: var(--bad); }
  .edge { fill: none; stroke: var(--line); } .catch { stroke-dasharray: 4 3; stroke: var(--bad); }
  .ends { stroke-width: 2.5; }
`;

export function svg(graph: Graph): string {
  const placed = layOut(graph);
  const width = Math.ceil(placed.width + 4 * MARGIN);
  const height = Math.ceil(placed.height + 4 * MARGIN);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="pipeline">`,
    `<style>${STYLE}</style>`,
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="var(--line)"/></marker></defs>',
    inGroup(placed, 2 * MARGIN, 2 * MARGIN, graph.start),
    '</svg>\n',
  ].join('\n');
}

function inGroup(graph: PlacedGraph, x: number, y: number, start?: string): string {
  const first = graph.nodes.find(({ node }) => node.id === start);
  return [
    `<g transform="translate(${round(x)},${round(y)})">`,
    ...(first === undefined ? [] : [startMark(first)]),
    ...graph.edges.map((edge) => edgeShape(edge, graph)),
    ...graph.nodes.map(nodeShape),
    ...graph.edges.map(edgeLabel),
    '</g>',
  ].join('\n');
}

function startMark(box: Box): string {
  const x = round(box.x + box.width / 2);
  return `<path class="edge" d="M${x},${round(box.y - 18)} V${round(box.y - 2)}" marker-end="url(#tip)"/>`;
}

function nodeShape(placed: PlacedNode): string {
  const { node, x, y, width, height, inner } = placed;
  const classes = [
    'node',
    node.type,
    ...(inner.length > 0 ? ['holder'] : []),
    ...(node.ends ? ['ends'] : []),
  ];
  const middle = x + width / 2;
  const titleY = inner.length > 0 ? y + MARGIN : y + height / 2 - (node.detail === undefined ? 0 : 8);
  return [
    `<g data-state="${escaped(node.name)}"><title>${escaped(`${node.name} (${node.type})`)}</title>`,
    outline(node, placed, classes.join(' ')),
    `<text x="${round(middle)}" y="${round(titleY)}">${escaped(node.name)}</text>`,
    ...(node.detail === undefined || inner.length > 0
      ? []
      : [
          `<text class="detail" x="${round(middle)}" y="${round(y + height / 2 + 11)}">${escaped(node.detail)}</text>`,
        ]),
    ...inner.map((graph, at) => inGroup(graph, x + graph.x, y + graph.y, node.inner[at]?.start)),
    '</g>',
  ].join('\n');
}

function outline(node: GraphNode, { x, y, width, height }: Box, classes: string): string {
  if (node.type === 'Choice') {
    const slant = 14;
    const points = [
      [x + slant, y],
      [x + width - slant, y],
      [x + width, y + height / 2],
      [x + width - slant, y + height],
      [x + slant, y + height],
      [x, y + height / 2],
    ];
    return `<polygon class="${classes}" points="${points.map((point) => point.map(round).join(',')).join(' ')}"/>`;
  }
  const radius = node.type === 'Succeed' || node.type === 'Fail' || node.type === 'Wait' ? height / 2 : 6;
  return `<rect class="${classes}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${round(radius)}"/>`;
}

/** Down in curves, straight through its lanes; back up along the right side, where nothing stands. */
function edgeShape({ edge, from, to, isBack, via }: PlacedEdge, graph: PlacedGraph): string {
  const classes = edge.kind === 'catch' ? 'edge catch' : 'edge';
  const way = isBack ? wayBack(from, to, graph.width - MARGIN) : wayDown(from, via, to);
  return `<path class="${classes}" d="${way}" marker-end="url(#tip)"/>`;
}

function wayBack(from: Box, to: Box, side: number): string {
  const out = { x: from.x + from.width, y: from.y + from.height / 2 };
  const back = { x: to.x + to.width + 2, y: to.y + to.height / 2 };
  return (
    `M${pair(out.x, out.y)} C${pair(side, out.y)} ${pair(side, out.y)} ${pair(side, (out.y + back.y) / 2)} ` +
    `S${pair(side, back.y)} ${pair(back.x, back.y)}`
  );
}

function wayDown(from: Box, via: readonly Box[], to: Box): string {
  const stops = [from, ...via, to];
  return stops
    .map((box, at) => {
      const before = stops[at - 1];
      if (before === undefined) return `M${pair(box.x + box.width / 2, box.y + box.height)}`;
      const [start, end] = endsOf(before, box, at === stops.length - 1 ? TIP_GAP : 0);
      const bend = Math.max((end.y - start.y) / 2, 12);
      const curve = `C${pair(start.x, start.y + bend)} ${pair(end.x, end.y - bend)} ${pair(end.x, end.y)}`;
      return at === stops.length - 1 ? curve : `${curve} V${round(box.y + box.height)}`;
    })
    .join(' ');
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function endsOf(from: Box, to: Box, gap: number): readonly [Point, Point] {
  return [
    { x: from.x + from.width / 2, y: from.y + from.height },
    { x: to.x + to.width / 2, y: to.y - gap },
  ];
}

function edgeLabel({ edge, label }: PlacedEdge): string {
  if (label === undefined) return '';
  const [x, y] = [label.x + label.width / 2, label.y + label.height / 2];
  return `<text class="label" x="${round(x)}" y="${round(y)}">${escaped(edge.label ?? '')}</text>`;
}

function pair(x: number, y: number): string {
  return `${round(x)},${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
