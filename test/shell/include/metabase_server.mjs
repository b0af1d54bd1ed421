// A stand-in for Metabase: answers the requests of dashboard/metabase/publish.mjs as Metabase 63 does,
// refuses what that would refuse, and records. It runs no query and draws no chart.
//
//	node metabase_server.mjs DIRECTORY
//
//	DIRECTORY/setup.json	read at each request: { tag, databases: [{ id, name, tables: [{ schema, name }] }] },
//							and answer, { METHOD PATH: [STATUS, HEADERS, TEXT] }, instead of its own
//	DIRECTORY/port			written when it listens on 127.0.0.1
//	DIRECTORY/requests		a line for each request: STATUS METHOD PATH
//	DIRECTORY/state.json	{ collections, cards, dashboards }
//
// The key right_key may do everything, reader_key only read; user@example.com logs in with right_password.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [, , directory] = process.argv;
const SESSION = 'a-session-id';
const file = (name) => join(directory, name);
const state = existsSync(file('state.json'))
	? JSON.parse(readFileSync(file('state.json')))
	: { collections: [], cards: [], dashboards: [], lastId: 100 };

class Refusal extends Error {
	constructor(status, body) {
		super();
		this.status = status;
		this.body = body;
	}
}

// ---------- schemas: a key that is not listed is refused ----------

const text = (value) => typeof value === 'string';
const filled = (value) => text(value) && value.trim() !== '';
const whole = (value) => Number.isInteger(value);
const positive = (value) => whole(value) && value > 0;
const notNegative = (value) => whole(value) && value >= 0;
const object = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const optional = (check) => Object.assign((value) => value === undefined || value === null || check(value), { optional: true });
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const unique = (list) => new Set(list.map((item) => item.id)).size === list.length;

const nativeQuery = (value) => object(value) && value.type === 'native' && object(value.native) && filled(value.native.query)
	&& readSetup().databases.some((database) => database.id === value.database);
const matches = (schema) => (value) => object(value) && Object.keys(mistakes(value, schema)).length === 0;

const CARD = {
	name: filled, description: optional(filled), display: filled, visualization_settings: object, dataset_query: nativeQuery,
	collection_id: optional(positive), collection_position: optional(positive), type: optional(filled)
};
const CARD_UPDATE = Object.fromEntries(Object.entries(CARD).map(([key, check]) => [key, optional(check)]));
const DASHBOARD = { name: filled, description: optional(text), collection_id: optional(positive), parameters: optional(Array.isArray) };
const DASHCARD = {
	id: whole, size_x: positive, size_y: positive, row: notNegative, col: notNegative,
	card_id: optional(positive), action_id: optional(positive), dashboard_tab_id: optional(whole),
	parameter_mappings: optional(Array.isArray), visualization_settings: optional(object),
	inline_parameters: optional(Array.isArray), series: optional(listOf(matches({ id: positive })))
};
const DASHBOARD_UPDATE = {
	name: optional(filled), description: optional(text),
	dashcards: optional((value) => listOf(matches(DASHCARD))(value) && unique(value)),
	tabs: optional((value) => listOf(matches({ id: whole, name: filled }))(value) && unique(value))
};
const COLLECTION = { name: filled, description: optional(filled), parent_id: optional(positive) };

function mistakes(body, schema) {
	const errors = {};
	for (const [key, check] of Object.entries(schema)) {
		if (!check(body[key])) {
			errors[key] = key in body ? `invalid value, got: ${JSON.stringify(body[key])}` : 'missing required key';
		}
	}
	for (const key of Object.keys(body)) {
		if (!(key in schema)) {
			errors[key] = 'disallowed key';
		}
	}
	return errors;
}

function check(body, schema) {
	const errors = object(body) ? mistakes(body, schema) : { body: 'not an object' };
	if (Object.keys(errors).length > 0) {
		throw new Refusal(400, { errors });
	}
}

// ---------- what it has ----------

const readSetup = () => JSON.parse(readFileSync(file('setup.json')));

function find(list, id) {
	const found = list.find((item) => String(item.id) === id);
	if (!found) {
		throw new Refusal(404, 'Not found.');
	}
	return found;
}

function add(list, item) {
	if (item.collection_id) {
		find(state.collections, String(item.collection_id));
	}
	list.push({ id: ++state.lastId, ...item });
	return list.at(-1);
}

// Makes the cards of a dashboard those given: a negative id stands for a new one.
function putDashcards(dashboard, { dashcards, tabs = [] }) {
	for (const { id, card_id, col, size_x, dashboard_tab_id } of dashcards) {
		if (id > 0 && !dashboard.dashcards.some((dashcard) => dashcard.id === id)) {
			throw new Refusal(404, `no dashcard ${id}`);
		}
		if (card_id) {
			find(state.cards, String(card_id));
		}
		if (col + size_x > 24) {
			throw new Refusal(400, { errors: { dashcards: `beyond 24 columns: ${col} + ${size_x}` } });
		}
		if (tabs.length > 0 && !tabs.some((tab) => tab.id === dashboard_tab_id)) {
			throw new Refusal(400, 'This dashboard has tab, makes sure every card has a tab');
		}
	}
	dashboard.tabs = tabs;
	dashboard.dashcards = dashcards.map((dashcard) => ({ ...dashcard, id: dashcard.id > 0 ? dashcard.id : ++state.lastId }));
}

// What GET adds to a dashboard: more than PUT takes back.
function withDetails(dashboard) {
	return {
		...dashboard,
		dashcards: dashboard.dashcards.map((dashcard) => ({
			...dashcard,
			card: state.cards.find((card) => card.id === dashcard.card_id), dashboard_id: dashboard.id, entity_id: 'x'.repeat(21)
		})),
		tabs: dashboard.tabs.map((tab, position) => ({ ...tab, position, dashboard_id: dashboard.id })),
		param_fields: {}
	};
}

// ---------- requests ----------

function mayDo(headers, method) {
	if (headers['x-metabase-session'] === SESSION || headers['x-api-key'] === 'right_key') {
		return;
	}
	if (headers['x-api-key'] !== 'reader_key') {
		throw new Refusal(401, 'Unauthenticated');
	}
	if (method !== 'GET') {
		throw new Refusal(403, "You don't have permissions to do that.");
	}
}

function answer(method, url, headers, body) {
	const { tag, databases } = readSetup();
	const [, , kind, id, part] = url.pathname.split('/');
	const route = `${method} ${[kind, id && (/^\d+$/.test(id) ? ':id' : id), part].filter(Boolean).join('/')}`;
	if (route === 'GET session/properties') {
		return { version: { tag } };
	}
	if (route === 'POST session') {
		if (body.username !== 'user@example.com' || body.password !== 'right_password') {
			throw new Refusal(401, { errors: { password: 'did not match stored password' } });
		}
		return { id: SESSION };
	}
	mayDo(headers, method);
	switch (route) {
		case 'DELETE session':
			return undefined;
		case 'GET database':
			return { data: databases.map(({ id, name }) => ({ id, name, engine: 'postgres' })), total: databases.length };
		case 'GET database/:id/metadata': {
			const database = find(databases, id);
			return { id: database.id, name: database.name, tables: database.tables.map((table, i) => ({ id: i + 1, ...table, fields: [] })) };
		}
		case 'GET collection':
			return [{ id: 'root', name: 'Our analytics' }, ...state.collections];
		case 'POST collection':
			check(body, COLLECTION);
			return add(state.collections, { location: '/', ...body });
		case 'GET collection/:id/items': {
			const collection = find(state.collections, id);
			const models = url.searchParams.getAll('models');
			const data = [...state.cards.map((card) => ({ ...card, model: 'card' })), ...state.dashboards.map((dashboard) => ({ ...dashboard, model: 'dashboard' }))]
				.filter((item) => item.collection_id === collection.id && models.includes(item.model))
				.map(({ id, name, model }) => ({ id, name, model }));
			return { data, total: data.length };
		}
		case 'POST card':
			check(body, CARD);
			return add(state.cards, body);
		case 'PUT card/:id':
			check(body, CARD_UPDATE);
			return Object.assign(find(state.cards, id), body);
		case 'POST dashboard':
			check(body, DASHBOARD);
			return withDetails(add(state.dashboards, { ...body, dashcards: [], tabs: [] }));
		case 'GET dashboard/:id':
			return withDetails(find(state.dashboards, id));
		case 'PUT dashboard/:id': {
			const dashboard = find(state.dashboards, id);
			check(body, DASHBOARD_UPDATE);
			if (body.dashcards) {
				putDashcards(dashboard, body);
			}
			const { dashcards, tabs, ...rest } = body;
			return withDetails(Object.assign(dashboard, rest));
		}
	}
	throw new Refusal(404, 'API endpoint does not exist.');
}

const server = createServer(async (request, response) => {
	const { method } = request;
	const url = new URL(request.url, 'http://127.0.0.1');
	let status = 200, headers = {}, body;
	try {
		const chunks = [];
		for await (const chunk of request) {
			chunks.push(chunk);
		}
		const sent = Buffer.concat(chunks).toString();
		const instead = readSetup().answer?.[`${method} ${url.pathname}`];
		if (instead) {
			[status, headers, body] = instead;
		} else {
			body = answer(method, url, request.headers, sent === '' ? {} : JSON.parse(sent));
			status = body === undefined ? 204 : 200;
		}
	} catch (error) {
		if (!(error instanceof Refusal)) {
			console.error(error);
		}
		status = error.status ?? 500;
		body = error.body ?? 'an error of the test server';
	}
	appendFileSync(file('requests'), `${status} ${method} ${url.pathname}\n`);
	writeFileSync(file('state.json'), JSON.stringify(state));
	response.writeHead(status, { ...(typeof body === 'string' ? {} : { 'content-type': 'application/json' }), ...headers });
	response.end(typeof body === 'string' ? body : JSON.stringify(body));
});

server.listen(0, '127.0.0.1', () => writeFileSync(file('port'), String(server.address().port)));
