// A text from the data, to be put into HTML: what the pointer shows in a chart is HTML.
export function html(text) {
	return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
