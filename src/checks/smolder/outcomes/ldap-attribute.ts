import { isSensitiveName, MASK } from '../secrets.ts';
import type { Field } from '../source.ts';
import { failed, type LdapInputs, type Outcome, type Pair, passed } from '../test-file.ts';

export interface LdapOutcome {
  readonly outcome: Outcome;
  readonly ldapExpected: readonly Pair[];
}

/** The value of the attribute `inputs.attr_key` of the entry `inputs.dn`; or a mapping of attribute → value. */
export function readLdapAttribute(
  field: Field,
  ldap: Omit<LdapInputs, 'expected'> & { readonly attribute?: string },
): LdapOutcome {
  const name = field.key;
  if (ldap.dn === undefined) field.fault(`"${name}" needs the input "dn".`);
  if (!field.isMapping && ldap.attribute === undefined) field.fault(`"${name}" needs the input "attr_key".`);
  const ldapExpected = field.isMapping
    ? (field.entries() ?? []).map((entry): Pair => [entry.key, entry.text() ?? ''])
    : [[ldap.attribute ?? '', field.text() ?? ''] as const];
  return {
    ldapExpected,
    outcome: {
      name,
      check(answer) {
        if (answer.kind !== 'ldap') return [];
        return ldapExpected.map(([attribute, expected], index) => {
          const comparison = answer.comparisons[index];
          const hidden = isSensitiveName(attribute);
          const value = hidden ? MASK : expected;
          if (comparison?.matched) return passed(name, `${attribute},${ldap.dn}=${value}`);
          const actual = hidden ? MASK : (comparison?.actual.join(', ') ?? '');
          return failed(name, `${attribute},${ldap.dn} != '${value}' (Got '${actual}' instead)`);
        });
      },
    },
  };
}
