/**
 * Places of states in a drawing: each state in a layer below those that lead to it (a way back counts for nothing),
 * within a layer under the middle of them. States with branches or items are as large as what they hold. What an edge
 * says stands above the state that it leads to, which is given room for it; on a way back up, right of all states. An
 * edge to a layer further down passes those between in a lane of theirs, which all edges to that state share.
 */
import type { Graph, GraphEdge, GraphNode } from './graph.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedNode extends Box {
  readonly node: GraphNode;
  readonly inner: readonly PlacedGraph[];
}

export interface PlacedEdge {
  readonly edge: GraphEdge;
  readonly from: Box;
  readonly to: Box;
  /** Leads to a layer that is not below. */
  readonly isBack: boolean;
  /** Lanes that it goes down through, from above; of no width. */
  readonly via: readonly Box[];
  /** Where what it says stands; undefined: it says nothing, or what stands there already. */
  readonly label: Box | undefined;
}

/** Coordinates are relative to the graph's own corner. */
export interface PlacedGraph extends Box {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
}

const CHARACTER_WIDTH = 7.4;
const NODE_PADDING = 28;
const NODE_MIN_WIDTH = 110;
const LINE_HEIGHT = 18;
const NODE_HEIGHT = 38;
const GAP_X = 36;
const GAP_Y = 54;
const LANE_WIDTH = 8;
/** Room at the right for edges that lead back up. */
const WAY_BACK = 60;
export const MARGIN = 16;
const TITLE_HEIGHT = 46;
const LABEL_CHARACTER_WIDTH = 6.7;
const LABEL_HEIGHT = 14;
/** Between a label and the state below it, for the tip of the edge. */
const TIP = 10;

export function layOut(graph: Graph): PlacedGraph {
  const layers = layersOf(graph);
  const isBack = (edge: GraphEdge) => (layers.get(edge.to) ?? 0) <= (layers.get(edge.from) ?? 0);
  const [back, forward] = [graph.edges.filter(isBack), graph.edges.filter((edge) => !isBack(edge))];
  const labels = labelsAbove(forward);
  const lanes = lanesOf(forward, layers);
  const { boxes, width, height } = placeRows(graph, rowsOf(graph, layers, lanes), labels);
  const sideWidth = back.length === 0 ? 0 : WAY_BACK + Math.max(...back.map(labelWidth));
  const whole = { x: 0, y: 0, width: width + sideWidth, height };
  const besides = new Map<number, number>();
  const edges = graph.edges.flatMap((edge): PlacedEdge[] => {
    const from = boxes.get(edge.from);
    const to = boxes.get(edge.to);
    if (from === undefined || to === undefined) return [];
    if (!isBack(edge)) {
      const via = (lanes.get(edge) ?? []).flatMap(({ id }) => boxes.get(id) ?? []);
      const nth = labels.get(edge.to)?.indexOf(edge) ?? -1;
      return [{ edge, from, to, isBack: false, via, label: nth === -1 ? undefined : above(to, edge, nth) }];
    }
    const placed = { edge, from, to, isBack: true, via: [] };
    if (edge.label === undefined) return [{ ...placed, label: undefined }];
    const y = from.y + from.height / 2;
    const nth = besides.get(y) ?? 0;
    besides.set(y, nth + 1);
    return [{ ...placed, label: beside(whole, edge, y, nth) }];
  });
  const nodes = [...boxes.values()].filter((box): box is PlacedNode => 'node' in box);
  return { ...whole, nodes, edges };
}

type Labels = ReadonlyMap<string, readonly GraphEdge[]>;

/** By the state that they lead to; what several of them say is said once. */
function labelsAbove(forward: readonly GraphEdge[]): Labels {
  const byState = Map.groupBy(
    forward.filter(({ label }) => label !== undefined),
    ({ to }) => to,
  );
  const once = (edges: readonly GraphEdge[]) => [
    ...new Map(edges.toReversed().map((edge) => [edge.label, edge])).values(),
  ];
  return new Map([...byState].map(([to, edges]) => [to, once(edges)]));
}

/** A place in a layer that an edge passes. */
interface Lane {
  readonly id: string;
  readonly layer: number;
}

type Lanes = ReadonlyMap<GraphEdge, readonly Lane[]>;

function lanesOf(forward: readonly GraphEdge[], layers: ReadonlyMap<string, number>): Lanes {
  return new Map(
    forward.map((edge) => {
      const [above, below] = [layers.get(edge.from) ?? 0, layers.get(edge.to) ?? 0];
      const between = Array.from({ length: below - above - 1 }, (_, n) => above + 1 + n);
      return [edge, between.map((layer) => ({ id: `${edge.to} in ${layer}`, layer }))];
    }),
  );
}

/** Row by row, each in the middle; a state has a cell as wide as itself and what leads to it. */
function placeRows(graph: Graph, rows: readonly (readonly string[])[], labels: Labels) {
  const sized = new Map(graph.nodes.map((node) => [node.id, sizeOf(node)]));
  const cellWidth = (id: string) =>
    Math.max(sized.get(id)?.width ?? LANE_WIDTH, ...(labels.get(id) ?? []).map(labelWidth));
  const rowWidths = rows.map((row) => total(row.map(cellWidth)) + GAP_X * (row.length - 1));
  const width = Math.max(...rowWidths, 0);
  const boxes = new Map<string, PlacedNode | Box>();
  let y = 0;
  for (const [at, row] of rows.entries()) {
    const lines = Math.max(...row.map((id) => labels.get(id)?.length ?? 0));
    y += at === 0 ? 0 : GAP_Y + LABEL_HEIGHT * Math.max(0, lines - 1);
    let x = (width - (rowWidths[at] ?? 0)) / 2;
    const height = Math.max(...row.map((id) => sized.get(id)?.height ?? 0), 0);
    for (const id of row) {
      const size = sized.get(id) ?? { width: 0, height };
      const cell = cellWidth(id);
      boxes.set(id, { ...size, x: x + (cell - size.width) / 2, y: y + (height - size.height) / 2 });
      x += cell + GAP_X;
    }
    y += height;
  }
  return { boxes, width, height: y };
}

function labelWidth({ label = '' }: GraphEdge): number {
  return label.length * LABEL_CHARACTER_WIDTH;
}

function above(to: Box, edge: GraphEdge, nth: number): Box {
  const width = labelWidth(edge);
  const y = to.y - TIP - LABEL_HEIGHT * (nth + 1);
  return { x: to.x + (to.width - width) / 2, y, width, height: LABEL_HEIGHT };
}

/** Where it leaves its state, above the edge. */
function beside(whole: Box, edge: GraphEdge, y: number, nth: number): Box {
  const width = labelWidth(edge);
  const x = whole.width - MARGIN - TIP - width;
  return { x, y: y - LABEL_HEIGHT * (nth + 1), width, height: LABEL_HEIGHT };
}

function sizeOf(node: GraphNode): PlacedNode {
  const longest = Math.max(node.name.length, node.detail?.length ?? 0);
  const textWidth = Math.max(NODE_MIN_WIDTH, longest * CHARACTER_WIDTH + NODE_PADDING);
  if (node.inner.length === 0) {
    const height = NODE_HEIGHT + (node.detail === undefined ? 0 : LINE_HEIGHT);
    return { node, x: 0, y: 0, width: textWidth, height, inner: [] };
  }
  let x = MARGIN;
  const inner = node.inner.map((graph) => {
    const placed = { ...layOut(graph), x, y: TITLE_HEIGHT };
    x += placed.width + MARGIN * 2;
    return placed;
  });
  const height = TITLE_HEIGHT + Math.max(...inner.map((placed) => placed.height)) + MARGIN;
  return { node, x: 0, y: 0, width: Math.max(textWidth, x - MARGIN), height, inner };
}

/** The longest way from the start, leaving out edges that close a circle. */
function layersOf(graph: Graph): ReadonlyMap<string, number> {
  const leaving = Map.groupBy(graph.edges, ({ from }) => from);
  const order: string[] = [];
  const back = new Set<GraphEdge>();
  const state = new Map<string, 'open' | 'done'>();
  const visit = (id: string): void => {
    state.set(id, 'open');
    for (const edge of leaving.get(id) ?? []) {
      const seen = state.get(edge.to);
      if (seen === 'open') back.add(edge);
      else if (seen === undefined) visit(edge.to);
    }
    state.set(id, 'done');
    order.unshift(id);
  };
  visit(graph.start);
  for (const { id } of graph.nodes) if (!state.has(id)) visit(id);
  const layers = new Map(order.map((id) => [id, 0]));
  for (const id of order) {
    for (const edge of leaving.get(id) ?? []) {
      if (back.has(edge)) continue;
      layers.set(edge.to, Math.max(layers.get(edge.to) ?? 0, (layers.get(id) ?? 0) + 1));
    }
  }
  return layers;
}

/** Ids by layer, lanes among them, each layer in the order of the middle of what leads to its states. */
function rowsOf(
  graph: Graph,
  layers: ReadonlyMap<string, number>,
  lanes: Lanes,
): readonly (readonly string[])[] {
  const passed = new Map([...lanes.values()].flat().map(({ id, layer }) => [id, layer]));
  const before = new Map<string, Set<string>>();
  for (const edge of graph.edges) {
    const stops = [edge.from, ...(lanes.get(edge) ?? []).map(({ id }) => id), edge.to];
    for (const [at, id] of stops.slice(1).entries())
      before.set(id, (before.get(id) ?? new Set()).add(stops[at] ?? ''));
  }
  const all = [...graph.nodes.map(({ id }) => id), ...passed.keys()];
  const byLayer = Map.groupBy(all, (id) => layers.get(id) ?? passed.get(id) ?? 0);
  const rank = new Map<string, number>();
  return [...byLayer.keys()]
    .sort((one, other) => one - other)
    .map((layer) => {
      const middle = (id: string): number => {
        const ranks = [...(before.get(id) ?? [])].flatMap((one) => rank.get(one) ?? []);
        return ranks.length === 0 ? 0 : total(ranks) / ranks.length;
      };
      const row = (byLayer.get(layer) ?? []).sort((one, other) => middle(one) - middle(other));
      for (const [at, id] of row.entries()) rank.set(id, at - (row.length - 1) / 2);
      return row;
    });
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
