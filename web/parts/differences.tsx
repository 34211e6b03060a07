/** Rows of what differs: named texts, and files. */

interface Difference {
  readonly key: string;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export function Pairs({ items }: { items: readonly Difference[] }) {
  return (
    <table class="differences">
      <tbody>
        {items.map(({ key, from, to }) => (
          <tr key={key}>
            <td>
              <code>{key}</code>
            </td>
            <td class="removed">{from ?? '–'}</td>
            <td class="added">{to ?? '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function FileChanges({
  files,
}: {
  files: readonly { readonly path: string; readonly change: string }[];
}) {
  return (
    <table class="differences">
      <tbody>
        {files.map(({ path, change }) => (
          <tr key={path}>
            <td>
              <code class={change}>{change}</code>
            </td>
            <td>
              <code>{path}</code>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
