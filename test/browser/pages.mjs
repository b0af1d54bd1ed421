// The dashboard of one model in a browser. Prints TAP without numbers.
//
//	node pages.mjs ADDRESS EXPECTED MODEL full|few|empty
//
// EXPECTED is a directory with VIEW.json, the rows of every view of the model as SQL gives them. The pages are found by their links.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { say, words } from './tap.mjs';

const [address, expected, model, kind] = process.argv.slice(2);
const views = Object.fromEntries(readdirSync(expected).map((file) => [file.slice(0, -5), JSON.parse(readFileSync(`${expected}/${file}`, 'utf8')) ?? []]));
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const browser = await chromium.launch({
	executablePath,
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
});

// ---------- a page ----------

// Runs in every page before anything else: keeps what is written into canvases.
function watch(chosen) {
	if (chosen && !localStorage.getItem('language')) localStorage.setItem('language', chosen);
	window.drawn = [];
	for (const name of ['fillText', 'strokeText']) {
		const draw = CanvasRenderingContext2D.prototype[name];
		CanvasRenderingContext2D.prototype[name] = function (text, ...rest) {
			window.drawn.push(String(text));
			return draw.call(this, text, ...rest);
		};
	}
}

// Opens a page that collects what goes wrong in page.wrong. language: what the reader chose before; locale: that of the browser.
async function open(language, locale = 'en-US', width = 1280) {
	const context = await browser.newContext({ locale, timezoneId: 'America/New_York', viewport: { width, height: 900 }, acceptDownloads: true });
	await context.addInitScript(watch, language);
	const page = await context.newPage();
	page.wrong = [];
	page.on('console', (m) => m.type() === 'error' && page.wrong.push(`console: ${m.text()}`));
	page.on('pageerror', (e) => page.wrong.push(`error: ${e.message}`));
	// a web server that has no such file may answer with the first page
	page.on('response', (r) => (r.status() >= 400 || (r.request().resourceType() !== 'document' && /html/.test(r.headers()['content-type']))) &&
		page.wrong.push(`${r.status()}: ${r.url()}`));
	// what a page that is left still asks for is not a failure
	page.on('requestfailed', (r) => r.failure()?.errorText !== 'net::ERR_ABORTED' && page.wrong.push(`failed: ${r.url()}`));
	page.on('request', (r) => /^(data|blob):/.test(r.url()) || r.url().startsWith(`${address}/`) || page.wrong.push(`another host: ${r.url()}`));
	return page;
}

// What every figure shows: its title, the canvases in it by their coloured and other pixels, and a number that stands for the drawing.
function look() {
	return [...document.querySelectorAll('figure.chart-figure')].map((figure) => {
		const seen = { title: figure.querySelector('h2')?.innerText ?? '', nothing: !!figure.querySelector('.nothing'), canvases: 0, coloured: 0, inked: 0, hash: 0 };
		for (const canvas of figure.querySelectorAll('canvas')) {
			seen.canvases += 1;
			if (!canvas.width || !canvas.height) continue;
			const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
			for (let i = 0; i < data.length; i += 4) {
				if (data[i + 3] < 32) continue;
				const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
				if (Math.min(r, g, b) > 250) continue;
				seen.inked += 1;
				if (Math.max(r, g, b) - Math.min(r, g, b) > 24) seen.coloured += 1;
				seen.hash = (seen.hash * 31 + i + r * 7 + g * 5 + b) | 0;
			}
		}
		return seen;
	});
}

// Waits until nothing moves any more: neither text nor drawing.
async function settle(page) {
	await page.waitForLoadState('networkidle');
	let before = '';
	for (let i = 0, same = 0; i < 150 && same < 3; i += 1) {
		await page.waitForTimeout(150);
		const now = JSON.stringify([await page.evaluate(look), await page.evaluate(() => document.body.innerText)]);
		same = now === before ? same + 1 : 0;
		before = now;
	}
}

async function go(page, path) {
	await page.goto(address + path);
	await settle(page);
}

const headings = (page) => page.$$eval('main h1, main h2', (all) => all.map((h) => h.innerText.trim()));

// ---------- what the figures say ----------

// Whether a text is this value of a column, to the digit that the text shows. A share is shown as percent; NAME_percent is that already.
function shows(text, value, column) {
	if (value === null || value === undefined) return text === '–' || text === '';
	if (typeof value !== 'number') return text === String(value);
	const [, figure, , decimals, sign] = text.match(/^(-?[\d,]+(\.(\d+))?)(\u00a0%)?$/) ?? [];
	if (figure === undefined) return false;
	const digits = decimals?.length ?? 0;
	const x = Number((sign && !column.endsWith('_percent') ? 100 * value : value).toFixed(digits));
	return Number(figure.replaceAll(',', '')) === x && /^-?\d{1,3}(,\d{3})*(\.\d+)?$/.test(figure);
}

// The rows of a CSV text, as arrays; NULL, which is nothing at all, is null.
function parse(text) {
	const rows = [[]];
	for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
		rows.at(-1).push(quoted !== undefined ? quoted.replaceAll('""', '"') : plain === '' ? null : plain);
		if (end === '') break;
		if (end === '\r\n') rows.push([]);
	}
	return rows.filter((r) => r.length > 1 || r[0] !== null);
}

// ---------- what is asked of every page ----------

// Names that come with the data and stay as they are; not of those columns that are translated.
const translated = new Set(['segment', 'stage', 'bucket', 'dimension', 'level', 'risk_group', 'speed_class', 'activity_level', 'goal', 'action', 'timing', 'campaign', 'note']);
const known = new Set(words(model).map((w) => w.toLowerCase()));
for (const row of Object.values(views).flat())
	for (const [column, value] of Object.entries(row))
		if (typeof value === 'string' && !translated.has(column)) for (const word of words(value)) known.add(word.toLowerCase());

// The segment that a page is about, if it is about one.
const segmentAt = (path) => views.segments.find((s) => path === `/segments/${s.segment_rank}/`);

const widths = { wide: 1280, narrow: 400 };

// What can be read on the page and in its charts, which are drawn anew for this width.
async function read(page, width) {
	await page.evaluate(() => { window.drawn = []; });
	await page.setViewportSize({ width: widths[width], height: 900 });
	await settle(page);
	return page.evaluate(() => [document.title.replace(' · rfm_segments', ''), document.body.innerText, ...window.drawn].join('\n'));
}

// Looks at the page at one width; returns its texts.
async function inspect(page, what, width) {
	const text = await read(page, width);
	const figures = await page.evaluate(look);
	// a chart without its data has no colour; but some segments are grey
	const coloured = kind === 'full' && !segmentAt(new URL(page.url()).pathname);
	const blank = figures.filter((f) => f.canvases > 0 && (f.inked < 300 || (coloured && f.coloured < 150)));
	say(`${what} ${width}: every chart paints`, blank.map((f) => `${f.title}: ${f.coloured} coloured of ${f.inked}`).join('\n'), '');
	// a segment may have nothing to show in a figure
	if (coloured) say(`${what} ${width}: no figure is empty`, figures.filter((f) => f.nothing).map((f) => f.title).join('\n'), '');
	say(`${what} ${width}: only figures and words`, (text.match(/.*(undefined|NaN|\bnull\b|\[object|Invalid|Infinity).*/g) ?? []).join('\n'), '');
	const [has, may] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
	say(`${what} ${width}: no wider than the window`, has <= may ? 'fits' : `${has} > ${may}`, 'fits');
	return text;
}

const korean = (text) => /\p{Script=Hangul}/u.test(text ?? '');

// Headings that are the same in both languages, unless they are names.
const unchanged = (before, after) => (before.length === after.length ? after.filter((h, i) => h === before[i] && words(h, known).length > 0) : [...before, '→', ...after]).join('\n');

async function press(page, language) {
	await page.locator(`.languages button[lang="${language}"]`).click();
	await settle(page);
}

// ---------- the figures are those of the views ----------

// The row of a view that the key figures of a page are from.
function subject(path) {
	if (path === '/' || path === '/problems/') return views.overview[0];
	if (path === '/plan/') return views.roi.find((r) => r.campaign_order === null);
	return segmentAt(path);
}

async function checkFigures(page, path) {
	const row = subject(path);
	if (!row) return;
	const figures = (await page.$$eval('[data-figure]', (all) => all.map((e) => [e.dataset.figure, e.querySelector('dd').firstChild.textContent.trim()])))
		.filter(([key]) => key in row);
	say(`${kind} ${path} key figures are those of the view`, figures.filter(([key, text]) => !shows(text, row[key], key)).map(([key, text]) => `${key}: ${text}, not ${row[key]}`).join('\n'), '');
	const wanted = path === '/problems/' ? ['churn_risk_share', 'churn_risk_revenue_share'] : path === '/plan/' ? ['audience', 'cost', 'net_profit'] : path === '/' ? ['customers', 'revenue', 'orders', 'margin_rate', 'repurchase_rate', 'vip_share', 'churn_risk_share', 'top20_revenue_share'] : row.customers > 0 ? ['customers'] : [];
	say(`${kind} ${path} and all are there`, wanted.filter((key) => row[key] !== null && !figures.some(([k]) => k === key)).join(' '), '');
}

// Whether a row of a table is that of a value of a dimension: its customers, then the share of each segment.
function isBreakdown(row) {
	const [[, name], [, customers], ...shares] = row;
	const dimensions = new Set(views.segment_breakdown.map((r) => r.dimension));
	return [...dimensions].some((dimension) => {
		const parts = views.segment_breakdown.filter((r) => r.dimension === dimension && r.value === name);
		const all = parts.reduce((sum, r) => sum + r.customers, 0);
		const of = (rank) => parts.filter((r) => r.segment_rank === rank).reduce((sum, r) => sum + r.customers, 0);
		return shows(customers, all, 'customers') && shares.every(([column, text]) => shows(text, of(Number(column.slice(1))) / all, column));
	});
}

async function checkTable(page, path, table) {
	const view = await table.getAttribute('data-view');
	const what = `${kind} ${path} table ${view}:`;
	const rows = views[view];
	if (!rows) return say(`${what} is a view`, view, Object.keys(views).join(' '));
	const columns = new Set(rows.flatMap((r) => Object.keys(r)));
	const cells = await table.$$eval('tbody tr', (all) => all.map((tr) => [...tr.querySelectorAll('[data-column]')].map((c) => [c.dataset.column, c.innerText.trim()])));
	const shown = cells.filter((row) => row.length > 0);
	// a row of the table is right when one row of the view has all of its figures
	const right = view === 'segment_breakdown' ? isBreakdown : (row) => rows.some((r) => row.every(([column, text]) => !columns.has(column) || shows(text, r[column], column)));
	const wrong = shown.filter((row) => !right(row));
	say(`${what} every cell is that of the view`, wrong.map((row) => JSON.stringify(row)).join('\n'), '');
	if (path === '/segments/' && view === 'segments') say(`${what} all rows`, shown.length, rows.length);

	const button = await table.$('button.save');
	if (!button || (await button.isDisabled())) return undefined;
	const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
	const [header, ...lines] = parse(readFileSync(await download.path(), 'utf8').replace(/^\uFEFF/, ''));
	const same = (text, value) => (typeof value === 'number' ? text !== null && Number(text) === value : text === (value === null ? null : String(value)));
	const rest = [...rows];
	const strange = lines.filter((line) => {
		const at = rest.findIndex((r) => header.every((column, i) => same(line[i], r[column])));
		if (at >= 0) rest.splice(at, 1);
		return at < 0;
	});
	say(`${what} CSV has the rows of the view`, strange.map((line) => line.join(',')).join('\n'), '');
	say(`${what} and its columns`, header.join(' '), Object.keys(rows[0]).join(' '));
	if (path === '/segments/' && view === 'segments') say(`${what} and nothing is left out`, rest.length, 0);
	return undefined;
}

// A choice changes what is drawn or told.
async function checkChoices(page, path) {
	const state = async () => JSON.stringify([await page.evaluate(look), await page.$$eval('main figure, main .table-figure, main dl', (all) => all.map((e) => e.innerText))]);
	for (const select of await page.locator('main select').all()) {
		const label = await select.evaluate((s) => s.labels?.[0]?.querySelector('span')?.innerText ?? s.getAttribute('aria-label'));
		const first = await select.inputValue();
		const other = (await select.locator('option').evaluateAll((all) => all.map((o) => o.value))).findLast((v) => v !== first);
		if (other === undefined) continue;
		const before = await state();
		await select.selectOption(other);
		await settle(page);
		say(`${kind} ${path} choice ${label}: changes what is shown`, (await state()) !== before, true);
		say(`${kind} ${path} choice ${label}: and still paints`, (await page.evaluate(look)).filter((f) => f.canvases > 0 && f.inked < 300).map((f) => f.title).join('\n'), '');
		await select.selectOption(first);
		await settle(page);
		say(`${kind} ${path} choice ${label}: and back again`, (await state()) === before, true);
	}
}

// ---------- every page in English ----------

const pages = ['/'];
const english = new Map();
const reader = await open();
for (let at = 0; at < pages.length; at += 1) {
	const path = pages[at];
	// the pages of segments without customers are all alike
	if (kind !== 'full' && segmentAt(path)?.customers === 0 && segmentAt(path).segment_rank > 1) continue;
	const what = `${kind} en ${path}`;
	reader.wrong.length = 0;
	await reader.setViewportSize({ width: widths.wide, height: 900 });
	await go(reader, path);
	for (const link of await reader.$$eval('main a, header a, nav a', (all) => all.map((a) => new URL(a.href)).filter((u) => u.origin === location.origin).map((u) => u.pathname)))
		if (!pages.includes(link)) pages.push(link);
	english.set(path, await headings(reader));
	say(`${what} has headings, in English`, english.get(path).length > 0 && english.get(path).every((h) => h !== '' && !korean(h)), true);
	await checkFigures(reader, path);
	for (const table of await reader.$$('.table-figure[data-view]')) await checkTable(reader, path, table);
	if (kind === 'full') await checkChoices(reader, path);
	await inspect(reader, what, 'narrow');
	await inspect(reader, what, 'wide');
	if (kind === 'full') {
		await press(reader, 'ko');
		say(`${what} the button changes all headings`, unchanged(english.get(path), await headings(reader)), '');
		await press(reader, 'en');
		say(`${what} and back again`, (await headings(reader)).join('\n'), english.get(path).join('\n'));
	}
	say(`${what} no error, nothing missing, no other host`, reader.wrong.join('\n'), '');
}
await reader.context().close();
say(`${kind}: six pages, and one for each segment`, pages.length, 6 + views.segments.length);

// ---------- and in Korean ----------

const other = await open('ko');
// the pages of segments are all made alike
for (const path of [...english.keys()].filter((p) => !segmentAt(p) || segmentAt(p).segment_rank === 1)) {
	const what = `${kind} ko ${path}`;
	other.wrong.length = 0;
	await other.setViewportSize({ width: widths.wide, height: 900 });
	await go(other, path);
	say(`${what} the choice is kept`, `${await other.getAttribute('html', 'lang')} ${korean((await headings(other))[0])}`, 'ko true');
	say(`${what} all headings are Korean`, unchanged(english.get(path), await headings(other)), '');
	const text = `${await inspect(other, what, 'narrow')}\n${await inspect(other, what, 'wide')}`;
	say(`${what} no English is left`, [...new Set(text.split('\n').filter((line) => words(line, known).length > 0))].join('\n'), '');
	say(`${what} no error, nothing missing, no other host`, other.wrong.join('\n'), '');
}
await other.context().close();

// ---------- the choice of the language ----------

if (kind === 'full') {
	const page = await open();
	await go(page, '/');
	await press(page, 'ko');
	for (const link of await page.locator('.frame nav a').all()) {
		await link.click();
		await settle(page);
		say(`the language is kept when going to ${new URL(page.url()).pathname}`, `${await page.getAttribute('html', 'lang')} ${korean((await headings(page))[0])}`, 'ko true');
	}
	await page.reload();
	await settle(page);
	say('and when the page is loaded again', korean((await headings(page))[0]), true);
	say('without an error on the way', page.wrong.join('\n'), '');
	await page.context().close();

	const korea = await open(undefined, 'ko-KR');
	await go(korea, '/');
	say('a Korean browser gets Korean', korean((await headings(korea))[0]), true);
	await korea.context().close();
}

await browser.close();
