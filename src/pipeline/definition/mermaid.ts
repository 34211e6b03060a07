/** The graph as Mermaid text, for pages that draw it themselves. */
import type { Graph, GraphEdge, GraphNode } from './graph.ts';

const SHAPES: Readonly<Record<GraphNode['type'], readonly [string, string]>> = {
  Task: ['[', ']'],
  Pass: ['[/', '/]'],
  Choice: ['{', '}'],
  Wait: ['([', '])'],
  Succeed: ['((', '))'],
  Fail: ['((', '))'],
  Parallel: ['[', ']'],
  Map: ['[', ']'],
};

export function mermaid(graph: Graph): string {
  const lines = ['flowchart TD', `  start(( )) --> ${nodeId(graph.start)}`, ...graphLines(graph, '  ')];
  return `${lines.join('\n')}\n`;
}

function graphLines(graph: Graph, indent: string): readonly string[] {
  return [
    ...graph.nodes.flatMap((node) => nodeLines(node, indent)),
    ...graph.edges.map((edge) => `${indent}${edgeLine(edge)}`),
  ];
}

function nodeLines(node: GraphNode, indent: string): readonly string[] {
  const text = quoted(node.detail === undefined ? node.name : `${node.name}\n${node.detail}`);
  if (node.inner.length === 0) {
    const [open, close] = SHAPES[node.type];
    return [`${indent}${nodeId(node.id)}${open}${text}${close}`];
  }
  return [
    `${indent}subgraph ${nodeId(node.id)}[${text}]`,
    ...node.inner.flatMap((inner, at) => [
      `${indent}  subgraph ${nodeId(node.id)}_${at}[${quoted(node.type === 'Map' ? 'each item' : `branch ${at + 1}`)}]`,
      ...graphLines(inner, `${indent}    `),
      `${indent}  end`,
    ]),
    `${indent}end`,
  ];
}

function edgeLine({ from, to, kind, label }: GraphEdge): string {
  const arrow = kind === 'catch' ? '-.->' : '-->';
  const said = label === undefined ? '' : `|${quoted(label)}|`;
  return `${nodeId(from)} ${arrow}${said} ${nodeId(to)}`;
}

function nodeId(id: string): string {
  return `s${id}`;
}

/** Mermaid's own escapes; nothing in a name can end the text or begin markup. */
function quoted(text: string): string {
  const safe = text
    .replaceAll('&', '#amp;')
    .replaceAll('"', '#quot;')
    .replaceAll('<', '#lt;')
    .replaceAll('>', '#gt;')
    .replaceAll('\n', '<br/>');
  return `"${safe}"`;
}
