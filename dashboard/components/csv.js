// Rows as a CSV file (RFC 4180), with full precision and the names of the columns as the views have them.

// NULL is nothing, an empty text is "": the two stay apart.
function field(x) {
	if (x === null || x === undefined) return '';
	if (x instanceof Date) return x.toISOString();
	const text = String(x);
	return text === '' || /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

// The text of the file; columns: what to write, without it all that the first row has.
export function csv(rows, columns = Object.keys(rows[0] ?? {})) {
	return [columns, ...rows.map((row) => columns.map((c) => row[c]))].map((line) => `${line.map(field).join(',')}\r\n`).join('');
}

// Gives the browser a file to save. Spreadsheets take it for UTF-8 only with the byte order mark in front.
export function download(name, text) {
	const url = URL.createObjectURL(new Blob(['\uFEFF', text], { type: 'text/csv;charset=utf-8' }));
	const link = document.createElement('a');
	link.href = url;
	link.download = name.replace(/[\\/:*?"<>|\u0000-\u001f]/g, '_');
	document.body.append(link);
	link.click();
	link.remove();
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}
