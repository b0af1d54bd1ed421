// The rows of segment_breakdown of one dimension, by value.

// The dimensions that there are, those of every shop first.
export function dimensions(rows) {
	const usual = ['channel', 'first_category'];
	const place = (d) => (usual.indexOf(d) + usual.length + 1) % (usual.length + 1);
	return [...new Set(rows.map((r) => r.dimension))].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

// [{ value, customers, segments: { RANK: customers } }], most customers first; value is null where it is unknown.
export function values(rows, dimension) {
	const found = new Map();
	for (const row of rows.filter((r) => r.dimension === dimension)) {
		const entry = found.get(row.value) ?? { value: row.value, customers: 0, segments: {} };
		entry.customers += row.customers;
		entry.segments[row.segment_rank] = row.customers;
		found.set(row.value, entry);
	}
	return [...found.values()].sort((a, b) => b.customers - a.customers || String(a.value).localeCompare(String(b.value)));
}

// The first of them, and the rest summed in an entry with the number of its values in others.
export function largest(entries, most) {
	if (entries.length <= most + 1) return entries;
	const rest = { value: null, others: entries.length - most, customers: 0, segments: {} };
	for (const { customers, segments } of entries.slice(most)) {
		rest.customers += customers;
		for (const [rank, n] of Object.entries(segments)) rest.segments[rank] = (rest.segments[rank] ?? 0) + n;
	}
	return [...entries.slice(0, most), rest];
}
