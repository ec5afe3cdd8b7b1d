// Draws a table of text cells in aligned columns, as kubectl does. Text only.

const GAP = '   ';

/** Rows shorter than the header are filled with empty cells. Returns lines with a newline at the end of each. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => (row[column] ?? '').padEnd(width))
      .join(GAP)
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}
