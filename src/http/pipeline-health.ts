import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { summaryView } from './pipelines.ts';

export function servePipelineHealth(operations: Operations, parts: HttpParts): void {
  const { pipelineHealth } = parts;

  operations.json('executions.graph', async ({ params: { id } }) => parts.executionGraph(id));

  operations.json('pipelines.list', async () => {
    const all = await pipelineHealth.all();
    return { items: all.map(({ recent, ...one }) => ({ ...one, recent: recent.map(summaryView) })) };
  });

  operations.json('pipelines.get', async ({ params: { pipeline }, query: { days } }) => {
    const { recent, ...report } = await pipelineHealth.of(pipeline, days);
    return { ...report, recent: recent.map(summaryView) };
  });
}
