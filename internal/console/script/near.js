// What somebody has probably meant.

/** How many letters have to be changed, left out, put in or swapped with the next to make b of a. */
function distance(a, b) {
  let [before, last] = [[], Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length];
}

/** The name that is nearest to what was written, or an empty text where none is near. */
export function nearest(written, names) {
  const text = written.toLowerCase();
  let [best, least] = ['', Math.max(1, Math.floor(text.length / 3)) + 1];
  for (const name of names) {
    if (Math.abs(name.length - text.length) >= least) continue;
    const d = distance(text, name.toLowerCase());
    if (d < least) [best, least] = [name, d];
  }
  return best;
}
