import { segmentColour } from '../colours.js';
import { number } from '../format.js';
import { html } from '../html.js';
import { twoLines } from './lines.js';

// Who is in no segment.
const nobody = '#4b5563';

// Who moved where between two moments. Each of flows: { source, sourceRank, target, targetRank, value, tip }, a rank of null for who was or is
// in no segment. A segment is a node on each side, the sides in the order of ranks.
export function sankey(flows) {
	const sides = { source: new Map(), target: new Map() };
	const add = (side, name, rank, value) => {
		const node = sides[side].get(rank) ?? { name: `${side} ${rank}`, title: name, rank, value: 0 };
		node.value += value;
		sides[side].set(rank, node);
		return node.name;
	};
	const links = flows.map((f) => ({
		source: add('source', f.source, f.sourceRank, f.value), target: add('target', f.target, f.targetRank, f.value), value: f.value, tip: f.tip
	}));
	const nodes = (side, depth, position) => [...sides[side].values()]
		.sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity))
		.map((n) => ({
			...n, depth, label: { position }, itemStyle: { color: n.rank === null ? nobody : segmentColour(n.rank), borderWidth: 0 },
			tip: `${html(n.title)}: ${number(n.value)}`
		}));
	return {
		tooltip: { formatter: ({ data }) => data.tip },
		series: [{
			type: 'sankey', left: 2, right: 2, top: 4, bottom: 4, nodeWidth: 14, nodeGap: 14, layoutIterations: 0, draggable: false,
			label: {
				fontSize: 12, color: '#1b2430', textBorderColor: 'white', textBorderWidth: 3, formatter: ({ data }) => `${twoLines(data.title)} ${number(data.value)}`
			},
			lineStyle: { color: 'source', opacity: 0.32, curveness: 0.5 },
			emphasis: { focus: 'adjacency' },
			data: [...nodes('source', 0, 'right'), ...nodes('target', 1, 'left')],
			links
		}]
	};
}
