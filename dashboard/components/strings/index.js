// The language of the reader and the texts in it. Each page has its texts in en/PAGE.js and ko/PAGE.js, under the same keys; a text with
// figures in it is a function of them. Names that come with the data are in names.js.
import { derived, writable } from 'svelte/store';
import { names } from './names.js';
import enAcquisition from './en/acquisition.js';
import enFrame from './en/frame.js';
import enOverview from './en/overview.js';
import enPlan from './en/plan.js';
import enProblems from './en/problems.js';
import enRetention from './en/retention.js';
import enSegments from './en/segments.js';
import koAcquisition from './ko/acquisition.js';
import koFrame from './ko/frame.js';
import koOverview from './ko/overview.js';
import koPlan from './ko/plan.js';
import koProblems from './ko/problems.js';
import koRetention from './ko/retention.js';
import koSegments from './ko/segments.js';

export const texts = {
	en: {
		frame: enFrame, overview: enOverview, segments: enSegments, problems: enProblems, acquisition: enAcquisition, retention: enRetention,
		plan: enPlan
	},
	ko: {
		frame: koFrame, overview: koOverview, segments: koSegments, problems: koProblems, acquisition: koAcquisition, retention: koRetention,
		plan: koPlan
	}
};

// The code of each language and its own name for itself.
export const languages = { en: 'English', ko: '한국어' };

export const language = writable('en');
export const strings = derived(language, (code) => texts[code]);

// In the language of the reader, the name that the data has for something: $name('segment', 'At Risk').
export const name = derived(language, (code) => (kind, spelled) => names[code]?.[kind]?.[spelled] ?? spelled);

// Takes the language that the reader chose last, or that of the browser, and remembers from now on what he chooses.
export function restoreLanguage() {
	const chosen = localStorage.getItem('language') ?? navigator.language.slice(0, 2);
	if (chosen in texts) language.set(chosen);
	return language.subscribe((code) => {
		localStorage.setItem('language', code);
		document.documentElement.lang = code;
	});
}
