// What the tests of the dashboard share: TAP lines without numbers, and what counts as an English word in a Korean text.

// Prints one line: got must equal expected.
export function say(fact, got, expected) {
	const equal = got === expected;
	process.stdout.write(`${equal ? 'ok' : 'not ok'} - ${fact.replaceAll('#', '\\#')}\n`);
	if (equal) return;
	for (const [what, text] of [['got', got], ['expected', expected]])
		for (const line of `${what}: ${text}`.slice(0, 1500).split('\n')) process.stdout.write(`# ${line}\n`);
}

// Abbreviations and names that Korean texts write in Latin letters.
const latin = new Set(['campaigns', 'accounts', 'visits', 'products', 'VIP', 'ROI', 'ROAS', 'CSV', 'RFM', 'LTV', 'UTC', 'API', 'SQL', 'PostgreSQL', 'Evidence', 'English', 'Kaplan', 'Meier', 'Wilson', 'Welch']);

// The English words of a text: two Latin letters or more; not the names of relations and columns, nor what is in the set given.
export function words(text, known = new Set()) {
	return (text.replace(/\w+_\w+|\([a-z_, ]+\)/g, '').match(/\p{Script=Latin}[\p{Script=Latin}'’]+/gu) ?? []).filter((w) => !latin.has(w) && !known.has(w.toLowerCase()));
}
