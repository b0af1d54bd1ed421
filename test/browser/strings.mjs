// The texts of the dashboard: both languages have the same ones, of the same kind, and the Korean ones are Korean. Prints TAP without numbers.
//
//	node strings.mjs DASHBOARD
import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { say, words } from './tap.mjs';

const folder = `${process.argv[2]}/components/strings`;
const read = async (file) => (await import(pathToFileURL(`${folder}/${file}`))).default;
const files = readdirSync(`${folder}/en`).sort();

// Every text by its path, with what kind of thing it is; a function with its number of parameters.
function* leaves(texts, path = '') {
	for (const [key, value] of Object.entries(texts)) {
		if (value !== null && typeof value === 'object') yield* leaves(value, `${path}${key}.`);
		else yield [path + key, typeof value === 'function' ? `function of ${value.length}` : typeof value, value];
	}
}

say('both languages have the same files', readdirSync(`${folder}/ko`).sort().join(' '), files.join(' '));
for (const file of files) {
	const [en, ko] = [[...leaves(await read(`en/${file}`))], [...leaves(await read(`ko/${file}`))]];
	const kinds = (texts) => texts.map(([path, kind]) => `${path}: ${kind}`);
	const only = (some, others) => kinds(some).filter((k) => !kinds(others).includes(k)).join('\n');
	say(`${file}: the same texts in both languages`, only(ko, en), only(en, ko));
	// what a function of the language itself says is seen on the pages
	const english = ko.filter(([, kind, text]) => kind === 'string' && words(text).length > 0);
	say(`${file}: no English in Korean`, english.map(([path, , text]) => `${path}: ${text}`).join('\n'), '');
}
