/** The intrinsic functions of the Amazon States Language, evaluated. */
import { runtimeFailure, StateFailure } from './failure.ts';
import { type IntrinsicFunction, IntrinsicRefusal, intrinsicFunctions } from './intrinsic-functions.ts';
import { type Argument, type Call, parseIntrinsic } from './intrinsic-parse.ts';
import type { Json } from './json.ts';
import { evaluatePath, PathNotFound, type PathScope } from './jsonpath.ts';
import type { Entropy } from './random.ts';

/** Throws StateFailure with `States.IntrinsicFailure`, or `States.Runtime` where a path finds nothing. */
export function evaluateIntrinsic(text: string, scope: PathScope, entropy: Entropy): Json {
  return evaluateCall(parseIntrinsic(text), scope, entropy);
}

function evaluateCall(call: Call, scope: PathScope, entropy: Entropy): Json {
  const args = call.args.map((argument) => evaluateArgument(argument, call, scope, entropy));
  try {
    return functionOf(call.name)(args, entropy);
  } catch (error) {
    if (!(error instanceof IntrinsicRefusal)) throw error;
    throw new StateFailure({
      error: 'States.IntrinsicFailure',
      cause: `The function '${call.text}' had the following error: ${error.message}`,
    });
  }
}

function evaluateArgument(argument: Argument, call: Call, scope: PathScope, entropy: Entropy): Json {
  if (argument.kind === 'value') return argument.value;
  if (argument.kind === 'call') return evaluateCall(argument.call, scope, entropy);
  try {
    return evaluatePath(argument.path, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(
      `The function '${call.text}' had the following error: The JsonPath argument for the field ` +
        `'${argument.path}' could not be found in the input '${JSON.stringify(scope.input)}'`,
    );
  }
}

function functionOf(name: string): IntrinsicFunction {
  const found = intrinsicFunctions.get(name);
  if (found === undefined) throw new IntrinsicRefusal(`${name} is not a function of the States language`);
  return found;
}
