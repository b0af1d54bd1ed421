// How wide a text is, in letters; those of Chinese, Japanese and Korean are wider.
const width = (text) => Array.from(text).reduce((sum, c) => sum + (c > '\u10ff' ? 1.7 : 1), 0);

// A name for an axis, on two lines at most; what is longer ends in …
export function twoLines(text, limit = 20) {
	if (width(text) <= limit) return text;
	const lines = [''];
	for (const word of text.split(' ')) {
		const last = lines[lines.length - 1];
		if (last && width(`${last} ${word}`) > limit) lines.push(word);
		else lines[lines.length - 1] = last ? `${last} ${word}` : word;
	}
	const cut = lines.slice(0, 2).map((line) => {
		while (width(line) > limit) line = `${line.slice(0, -2)}…`;
		return line;
	});
	return lines.length > 2 && !cut[1].endsWith('…') ? `${cut[0]}\n${cut[1]}…` : cut.join('\n');
}
