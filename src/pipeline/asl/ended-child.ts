/** What AWS tells of a child of a distributed Map that has ended: in its files of results, and where nothing is made of them. */
import type { MapChild } from './execution.ts';
import type { Json, JsonObject } from './json.ts';

export function endedChild(child: MapChild, output: Json, machine: Json): JsonObject {
  const { id, name, input, startedAt, endedAt, failure } = child;
  const told: JsonObject =
    failure === undefined
      ? { Output: JSON.stringify(output), OutputDetails: { Included: true } }
      : { Error: failure.error ?? '', Cause: failure.cause ?? '' };
  return {
    ExecutionArn: id,
    Input: JSON.stringify(input),
    InputDetails: { Included: true },
    Name: name,
    ...told,
    RedriveCount: 0,
    RedriveStatus: 'NOT_REDRIVABLE',
    StartDate: startedAt,
    StateMachineArn: machine,
    Status: failure === undefined ? 'SUCCEEDED' : 'FAILED',
    StopDate: endedAt,
  };
}
