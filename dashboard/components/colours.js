// One colour per segment, by its rank, wherever it is drawn; and the scales of heat maps and treemaps.

const palette = ['#12436d', '#28a197', '#7fc8a9', '#f2a03d', '#f6cd6b', '#a285d1', '#d1495b', '#8a93a0', '#c3c8cf', '#8c5a2b', '#e28fb6', '#5aa5d6'];

// Segments beyond the palette begin it again.
export function segmentColour(rank) {
	return palette[(Math.max(rank, 1) - 1) % palette.length];
}

// From little to much.
export const scale = ['#eef4fa', '#9dc3e6', '#2f75b5', '#12305a'];

export const accent = '#2f75b5';
export const good = '#28a197';
export const bad = '#d1495b';
export const quiet = '#8a93a0';

// Between good and bad.
export const caution = '#f2a03d';

// What can be read on a colour: dark or white.
export function ink(colour) {
	const [red, green, blue] = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
	return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.22 ? '#1b2430' : 'white';
}
