#!/usr/bin/env node
// Publishes the starter questions of a model to Metabase: a collection with a card for each file of
// questions/, and a dashboard of them.
//
//	METABASE_URL=https://metabase.example.com METABASE_API_KEY=... \
//		node dashboard/metabase/publish.mjs --database NAME [--model shop] [--collection NAME] [--dry-run]
//
//	METABASE_USER and METABASE_PASSWORD	instead of METABASE_API_KEY
//	--database NAME		the database as Metabase calls it, or its id
//	--model NAME		the schema of the model
//	--collection NAME	where the cards go, "Customer segments: MODEL" if not given; made if it is not there
//	--dry-run			reads, but prints what it would write; what is not there yet has the id 0
//
// Run again, it updates its cards, found by their names in the collection.  On the dashboard it adds
// what is missing below what is there, and leaves the rest as it was arranged.  A question whose
// views the model does not have is skipped.
//
// A question is SQL below lines of "-- key: value", which "--   " continues:
//
//	name, description
//	display				the chart type; "display before 63" is that of Metabase before version 63
//	settings			visualization_settings, JSON
//	percent				columns with fractions to be shown in percent
//	size				columns x rows of the 24 columns of a dashboard
//
// In the SQL, :"model" is the model's schema, as in psql -v model=shop.
//
// It uses the public API of Metabase from version 49 on, and Node.js from version 18 on.

import { realpathSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const OLDEST_VERSION = 49; // API keys
const GRID_COLUMNS = 24;
const TIMEOUT_SECONDS = 60;
const DISPLAYS = ['area', 'bar', 'combo', 'line', 'pie', 'row', 'scalar', 'table', 'treemap'];

// What the user can do something about: a message without a stack.
class Problem extends Error {}

// ---------- questions ----------

// Reads the text of a question; FILE is for messages.
export function parseQuestion(text, file) {
	const lines = text.split('\n');
	const header = {};
	let key, line;
	for (line = 0; lines[line].startsWith('--'); line++) {
		const start = lines[line].match(/^-- ([a-z][a-z0-9 ]*): (.*)$/);
		const rest = lines[line].match(/^-- {3}(.*)$/);
		if (start) {
			key = start[1];
			header[key] = start[2];
		} else if (rest && key) {
			header[key] += ' ' + rest[1];
		} else {
			throw new Problem(`${file}: line ${line + 1} is neither "-- key: value" nor "--   its continuation"`);
		}
	}
	const {
		name, description, display, settings = '{}', percent, size,
		'display before 63': displayBefore63 = display, ...unknown
	} = header;
	for (const [what, value] of Object.entries({ name, description, display, size })) {
		if (!value) {
			throw new Problem(`${file}: there is no line "-- ${what}: ..."`);
		}
	}
	for (const what of Object.keys(unknown)) {
		throw new Problem(`${file}: "-- ${what}:" is not known`);
	}
	for (const type of [display, displayBefore63]) {
		if (!DISPLAYS.includes(type)) {
			throw new Problem(`${file}: display "${type}" is none of ${DISPLAYS.join(', ')}`);
		}
	}
	const [, width, height] = size.match(/^([1-9]\d*)x([1-9]\d*)$/) ?? [];
	if (!width || width > GRID_COLUMNS) {
		throw new Problem(`${file}: size "${size}" is not COLUMNSxROWS, such as 12x8, with at most ${GRID_COLUMNS} columns`);
	}
	const question = {
		name, description, display, displayBefore63,
		width: Number(width), height: Number(height),
		// without the semicolon, so that other questions can be built on this one
		sql: lines.slice(line).join('\n').trim().replace(/;$/, '')
	};
	question.views = [...new Set([...question.sql.matchAll(/:"model"\.(\w+)/g)].map((match) => match[1]))];
	if (question.views.length === 0) {
		throw new Problem(`${file}: the SQL reads no view of :"model"`);
	}
	try {
		question.settings = JSON.parse(settings);
	} catch (error) {
		throw new Problem(`${file}: the settings are not JSON: ${error.message}`);
	}
	if (percent) {
		question.settings.column_settings = Object.fromEntries(percent.split(', ').map((column) =>
			[JSON.stringify(['name', column]), { number_style: 'percent', decimals: 1 }]));
	}
	return question;
}

// Reads all questions in the order of their files.
export async function readQuestions() {
	const directory = new URL('questions/', import.meta.url);
	const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
	return Promise.all(files.map(async (file) =>
		parseQuestion(await readFile(new URL(file, directory), 'utf8'), file)));
}

// The card of a question; a VERSION that is not known counts as old.
function makeCard(question, database, model, version) {
	const schema = '"' + model.replaceAll('"', '""') + '"';
	return {
		name: question.name,
		description: question.description,
		display: version >= 63 ? question.display : question.displayBefore63,
		visualization_settings: question.settings,
		dataset_query: {
			type: 'native',
			database: database.id,
			native: { query: question.sql.replaceAll(':"model"', () => schema), 'template-tags': {} }
		}
	};
}

// ---------- the API ----------

// A connection to Metabase: call(METHOD, PATH, BODY) returns what it answers, as an object.
class Metabase {
	constructor(url) {
		this.url = url;
		this.headers = {};
		this.credentials = '';
	}

	async call(method, path, body) {
		const what = `${method} ${this.url}${path}`;
		let response, text;
		try {
			response = await fetch(this.url + path, {
				method,
				headers: { ...this.headers, accept: 'application/json', 'content-type': 'application/json' },
				body: body && JSON.stringify(body),
				// a redirected POST would become a GET, and take the key elsewhere
				redirect: 'manual',
				signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000)
			});
			text = await response.text();
		} catch (error) {
			const reason = error.name === 'TimeoutError' ? `no answer within ${TIMEOUT_SECONDS} seconds`
				: error.cause?.code ?? error.cause?.message ?? error.message;
			throw new Problem(`${what}: ${reason}. Is METABASE_URL right, and does Metabase run?`);
		}
		if (response.status >= 300 && response.status < 400) {
			throw new Problem(`${what}: redirected to ${response.headers.get('location')}.`
				+ ' Set METABASE_URL to where that leads.');
		}
		let answer;
		try {
			answer = text === '' ? {} : JSON.parse(text);
		} catch {
			answer = text;
		}
		if (!response.ok) {
			throw new Problem(this.explain(what, path, response.status, answer));
		}
		if (typeof answer !== 'object') {
			throw new Problem(`${what}: the answer is not JSON. Is METABASE_URL the address of Metabase?`);
		}
		return answer;
	}

	// Says what an error means and what to do.
	explain(what, path, status, answer) {
		const said = typeof answer === 'object'
			? JSON.stringify(answer['specific-errors'] ?? answer.errors ?? answer.message ?? answer)
			: answer.trim();
		const problem = `${what}: ${status} ${said.slice(0, 500)}`;
		if (path === '/api/session' && status < 500) {
			return `${problem}\nMetabase does not accept METABASE_USER and METABASE_PASSWORD.`;
		}
		if (status === 401) {
			return `${problem}\nMetabase does not accept ${this.credentials}.`
				+ ' Make a key under Admin settings > Authentication > API keys.';
		}
		if (status === 403) {
			return `${problem}\nThe group of ${this.credentials} needs permission to create native queries on the database,`
				+ ' and to curate the collection.';
		}
		if (status === 404 && path === '/api/session/properties') {
			return `${problem}\nIs METABASE_URL the address of Metabase?`;
		}
		return problem;
	}

	// Takes the key or logs in, by the environment.
	async authenticate({ METABASE_API_KEY: key, METABASE_USER: username, METABASE_PASSWORD: password }) {
		if (key) {
			// fetch would print a key that is no header
			if (!/^[\x21-\x7e]+$/.test(key)) {
				throw new Problem('METABASE_API_KEY holds blanks, line ends or other characters that no key has.');
			}
			this.credentials = 'METABASE_API_KEY';
			this.headers = { 'x-api-key': key };
		} else if (username && password) {
			this.credentials = 'METABASE_USER';
			const session = await this.call('POST', '/api/session', { username, password });
			this.headers = { 'x-metabase-session': session.id };
			this.session = true;
		} else {
			throw new Problem('Set METABASE_API_KEY, or METABASE_USER and METABASE_PASSWORD.');
		}
	}

	// Ends a session; one that cannot be ended ends by itself.
	async logOut() {
		if (this.session) {
			await this.call('DELETE', '/api/session').catch(() => {});
		}
	}
}

// Checks METABASE_URL; a path is kept, for a Metabase below one.
function checkUrl(text) {
	let url;
	try {
		url = new URL(text);
	} catch {
		throw new Problem('Set METABASE_URL to the address of Metabase, such as https://metabase.example.com.');
	}
	if (!['http:', 'https:'].includes(url.protocol)) {
		throw new Problem('METABASE_URL begins with http:// or https://.');
	}
	if (url.username || url.password) {
		throw new Problem('METABASE_URL holds a user: set METABASE_API_KEY, or METABASE_USER and METABASE_PASSWORD, instead.');
	}
	return url.origin + url.pathname.replace(/\/+$/, '');
}

// ---------- what is there ----------

// The major version, 63 for v0.63.2 or v1.63.2; NaN when Metabase does not tell.
async function readVersion(metabase) {
	const { version } = await metabase.call('GET', '/api/session/properties');
	const major = Number(version?.tag?.match(/^v[01]\.(\d+)/)?.[1]);
	if (major < OLDEST_VERSION) {
		throw new Problem(`Metabase ${version.tag} is too old: ${OLDEST_VERSION} or later is needed.`);
	}
	return major;
}

// Finds the database by its name, or else its id.
async function findDatabase(metabase, name) {
	const answer = await metabase.call('GET', '/api/database');
	const databases = answer.data ?? answer;
	const named = databases.filter((database) => database.name === name);
	const found = named.length ? named : databases.filter((database) => String(database.id) === name);
	if (found.length === 1) {
		return found[0];
	}
	const list = databases.map((database) => `\n  ${database.name} (id ${database.id})`).join('');
	throw new Problem(found.length
		? `Several databases are called "${name}": give --database the id.${list}`
		: `Metabase has no database "${name}", or ${metabase.credentials} may not see it.`
			+ (list ? ` It has:${list}` : ' It shows none.'));
}

// The views of the model that Metabase knows.
async function readViews(metabase, database, model) {
	const { tables = [] } = await metabase.call('GET', `/api/database/${database.id}/metadata?include_hidden=true`);
	const views = new Set(tables.filter((table) => table.schema === model).map((table) => table.name));
	if (views.size === 0) {
		const schemas = [...new Set(tables.map((table) => table.schema))].sort().join(', ');
		throw new Problem(`Metabase knows no view of model "${model}" in database "${database.name}".\n`
			+ 'Let it look again: Admin settings > Databases > the database > Sync database schema.\n'
			+ 'If that does not help, its role may not read the model. In the database, ROLE being the one that it logs in with:\n'
			+ `  SELECT rfm.grant_read('${model.replaceAll("'", "''")}', 'ROLE');\n`
			+ `Schemas that it knows: ${schemas || 'none'}`);
	}
	return views;
}

// The oldest of those with this name.
function findByName(items, name) {
	return items.filter((item) => item.name === name).sort((a, b) => a.id - b.id)[0];
}

// ---------- the dashboard ----------

// Puts cards of these sizes into rows, from left to right, beginning with a row.
export function arrange(sizes, firstRow) {
	let row = firstRow, column = 0, height = 0;
	return sizes.map((size) => {
		if (column + size.width > GRID_COLUMNS) {
			row += height;
			column = height = 0;
		}
		const place = { row, col: column, size_x: size.width, size_y: size.height };
		column += size.width;
		height = Math.max(height, size.height);
		return place;
	});
}

// What PUT takes of a card on a dashboard that GET answers.
function keepDashcard(dashcard) {
	const {
		id, row, col, size_x, size_y, card_id, action_id, dashboard_tab_id, parameter_mappings,
		visualization_settings, inline_parameters, series
	} = dashcard;
	return {
		id, row, col, size_x, size_y, card_id, action_id, dashboard_tab_id, parameter_mappings,
		visualization_settings, inline_parameters, series: series?.map((card) => ({ id: card.id }))
	};
}

// The update of a dashboard to one with these cards ({ id, question }).
function makeDashboardUpdate(dashboard, description, cards) {
	const tabs = (dashboard.tabs ?? []).map(({ id, name }) => ({ id, name }));
	const kept = (dashboard.dashcards ?? []).map(keepDashcard);
	const there = new Set(kept.map((dashcard) => dashcard.card_id));
	const missing = cards.filter((card) => !there.has(card.id));
	const firstRow = Math.max(0, ...kept.filter((dashcard) => !tabs.length || dashcard.dashboard_tab_id === tabs[0].id)
		.map((dashcard) => dashcard.row + dashcard.size_y));
	const places = arrange(missing.map((card) => card.question), firstRow);
	const added = missing.map((card, i) => ({
		id: -1 - i, card_id: card.id, ...places[i], series: [], parameter_mappings: [], visualization_settings: {},
		...(tabs.length ? { dashboard_tab_id: tabs[0].id } : {})
	}));
	return { description, dashcards: [...kept, ...added], ...(tabs.length ? { tabs } : {}) };
}

// ---------- publishing ----------

async function publish(metabase, options, print) {
	const { model } = options;
	const title = `Customer segments: ${model}`;
	const description = `Who the customers of the model "${model}" are, and what follows. `
		+ 'Cards that dashboard/metabase/publish.mjs made are overwritten by its next run.';
	// Metabase reads these as its own variables, in names, too
	if (/\{\{|\[\[|\]\]|\}\}/.test(model)) {
		throw new Problem(`Metabase cannot read a model with {{, }}, [[ or ]] in its name: "${model}".`);
	}
	const questions = await readQuestions();
	const version = await readVersion(metabase);
	const database = await findDatabase(metabase, options.database);
	const views = await readViews(metabase, database, model);

	const write = options['dry-run']
		? async (method, path, body) => {
			print(`${method} ${path} ${JSON.stringify(body, null, '\t')}`);
			return { id: 0 };
		}
		: (method, path, body) => metabase.call(method, path, body);

	const wanted = [];
	for (const question of questions) {
		const missing = question.views.filter((view) => !views.has(view));
		if (missing.length === 0) {
			wanted.push(question);
		} else {
			print(`skipped  ${question.name}: Metabase knows no view ${missing.join(', ')} of model "${model}"`);
		}
	}
	if (wanted.length === 0) {
		throw new Problem(`Schema "${model}" has none of the views of a model.`);
	}

	const collectionName = options.collection ?? title;
	const collections = await metabase.call('GET', '/api/collection');
	const old = findByName(collections.filter((item) => item.id !== 'root'), collectionName);
	const collection = old ?? await write('POST', '/api/collection', { name: collectionName, description });
	const items = old
		? (await metabase.call('GET', `/api/collection/${old.id}/items?models=card&models=dashboard`)).data
		: [];

	const cards = [];
	for (const question of wanted) {
		const card = makeCard(question, database, model, version);
		const there = findByName(items.filter((item) => item.model === 'card'), card.name);
		if (there) {
			await write('PUT', `/api/card/${there.id}`, card);
			cards.push({ id: there.id, question });
		} else {
			const created = await write('POST', '/api/card', { ...card, collection_id: collection.id });
			cards.push({ id: created.id, question });
		}
		print(`${there ? 'updated ' : 'created '} ${card.name}`
			+ (card.display === question.display ? '' : ` as ${card.display}: ${question.display} needs Metabase 63`));
	}

	const known = findByName(items.filter((item) => item.model === 'dashboard'), title);
	const dashboard = known
		? await metabase.call('GET', `/api/dashboard/${known.id}`)
		: await write('POST', '/api/dashboard', { name: title, description, collection_id: collection.id });
	await write('PUT', `/api/dashboard/${dashboard.id}`, makeDashboardUpdate(dashboard, description, cards));
	print(`${known ? 'updated ' : 'created '} the dashboard: ${metabase.url}/dashboard/${dashboard.id}`);
}

async function main() {
	let options;
	try {
		options = parseArgs({
			options: {
				database: { type: 'string' },
				model: { type: 'string', default: 'shop' },
				collection: { type: 'string' },
				'dry-run': { type: 'boolean', default: false },
				help: { type: 'boolean', default: false }
			}
		}).values;
	} catch (error) {
		throw new Problem(error.message);
	}
	if (options.help || !options.database) {
		const usage = 'node publish.mjs --database NAME [--model shop] [--collection NAME] [--dry-run]';
		if (!options.help) {
			throw new Problem(`Name the database as Metabase calls it: ${usage}`);
		}
		console.log(`${usage}\nEnvironment: METABASE_URL, and METABASE_API_KEY or METABASE_USER and METABASE_PASSWORD`);
		return;
	}
	const metabase = new Metabase(checkUrl(process.env.METABASE_URL));
	await metabase.authenticate(process.env);
	try {
		await publish(metabase, options, console.log);
	} finally {
		await metabase.logOut();
	}
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
	// Node.js 18 calls fetch experimental on every run
	process.removeAllListeners('warning');
	main().catch((error) => {
		console.error(error instanceof Problem ? `publish.mjs: ${error.message}` : error);
		process.exitCode = 1;
	});
}
