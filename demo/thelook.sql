-- Generates the seven tables of thelook, a fictitious clothing shop, in the current schema:
--
--     psql [-v scale=1] [-v seed=1] [-v as_of=2024-01-21] -f demo/thelook.sql DATABASE
--
-- scale 1 is 100,000 users, about 125,000 orders, 180,000 items and 2.4 million events; it may be
-- a fraction (0.02) or large (30).  as_of is the day on which the data ends.  The same seed, scale
-- and as_of always give the same rows: every random number is a hash of the seed, the row and the
-- purpose it serves, and the arithmetic is exact or plain IEEE, so that neither the plan nor the
-- machine matters.
--
-- Names, brands and products are invented.  The oddities are those of the real data set, on
-- purpose: the items of a basket are bought up to four days after their order is placed, some
-- therefore after as_of; prices are float4 values widened to float8; each item logs a session of
-- its own; half of the events belong to nobody; some names, brands and cities are missing.

\set ON_ERROR_STOP on
\set thelook_quiet :QUIET
\set QUIET on
\if :{?scale} \else \set scale 1 \endif
\if :{?seed} \else \set seed 1 \endif
\if :{?as_of} \else \set as_of 2024-01-21 \endif

begin;
set local client_encoding = 'UTF8';
set local client_min_messages = warning;
set local work_mem = '64MB';
set local maintenance_work_mem = '128MB';
set local jit = off;

select :'scale'::numeric not between 0.0001 and 500 as thelook_bad,
	   round(100000 * :'scale'::numeric) as thelook_users,
	   least(1, greatest(:'scale'::numeric, 0.02)) as thelook_catalogue,
	   date_trunc('second', :'as_of'::timestamp) as thelook_as_of,
	   date_trunc('year', :'as_of'::timestamp) - interval '5 years' + interval '1 day' as thelook_from \gset
\if :thelook_bad
do $$ begin raise exception 'scale must be between 0.0001 and 500' using errcode = '22023'; end $$;
\endif

\ir tables.sql

--
-- Random numbers.  All are inlined into the queries, the hash of the purpose as a constant.
--
create function pg_temp.hash(id bigint, purpose text) returns bigint immutable parallel safe
	return hashint8extended(id, hashtextextended(purpose collate "C", :'seed'::bigint));
-- 0 <= u < 1
create function pg_temp.u(id bigint, purpose text) returns float8 immutable parallel safe
	return (pg_temp.hash(id, purpose) >> 11 & 9007199254740991) / 9007199254740992::float8;
-- one of 0 ... n - 1
create function pg_temp.below(n int, id bigint, purpose text) returns int immutable parallel safe
	return floor(n * pg_temp.u(id, purpose))::int;
-- one element of the list, all equally likely
create function pg_temp.pick(list text[], id bigint, purpose text) returns text immutable parallel safe
	return list[1 + pg_temp.below(cardinality(list), id, purpose)];
-- one element of the list; bounds are the cumulative shares of all but the last
create function pg_temp.pick(list text[], bounds float8[], id bigint, purpose text) returns text immutable parallel safe
	return list[1 + width_bucket(pg_temp.u(id, purpose), bounds)];
-- sign-ups and visits spread evenly over the years, from midnight to seven in the evening
create function pg_temp.moment(id bigint, purpose text) returns timestamp immutable parallel safe
	return :'thelook_from'::timestamp
		+ interval '1 day' * pg_temp.below(
			extract(day from :'thelook_as_of'::timestamp - :'thelook_from'::timestamp)::int, id, purpose || ' day')
		+ interval '1 minute' * pg_temp.below(19 * 60, id, purpose || ' minute');

--
-- Vocabulary
--
\set female_names '{Ada,Agnes,Alma,Amelia,Anna,Bea,Bianca,Cara,Carmen,Celia,Chloe,Clara,Dana,Daria,Diana,Edith,Elena,Elsa,Emma,Esther,Eva,Flora,Freya,Gina,Greta,Hanna,Hazel,Helen,Ida,Irene,Iris,Ivy,Jana,Joan,Julia,June,Karin,Kate,Laura,Lea,Lena,Lily,Lucia,Mara,Maria,Mina,Mona,Nadia,Nina,Nora,Olga,Paula,Pia,Rita,Rosa,Ruth,Sara,Sofia,Tara,Vera}'
\set male_names '{Aaron,Adam,Alan,Albert,Amir,Anton,Axel,Ben,Bruno,Carl,Caspar,Cyril,Daniel,Dario,David,Dirk,Eddie,Emil,Eric,Felix,Finn,Frank,Fred,George,Gil,Gregor,Hans,Henry,Hugo,Ian,Igor,Ivan,Jack,Jan,Jonas,Josef,Karl,Kurt,Lars,Leo,Louis,Luca,Marc,Max,Milan,Nico,Noah,Olaf,Oscar,Otto,Pablo,Paul,Peter,Ralf,Remo,Simon,Theo,Tom,Victor,Walter}'
\set surname_heads '{Alder,Amber,Ash,Bar,Beck,Birch,Black,Brad,Bran,Brook,Car,Clay,Cold,Crow,Dun,East,Elm,Fair,Fal,Fen,Glen,Gold,Gray,Hart,Haver,Hol,Kirk,Lang,Lind,Mar,Mil,North,Oak,Pem,Raven,Red,Stan,Thorn,Wal,West}'
\set surname_tails '{berg,bourne,bridge,brook,bury,by,croft,dale,den,feld,field,ford,gate,ham,hurst,land,ley,man,mont,more,ridge,shaw,ton,wick,worth}'
\set street_heads '{Acorn,Bridge,Canal,Cedar,Chapel,Cherry,Church,College,Garden,Grove,Harbour,High,Hill,Lake,Laurel,Lime,Market,Meadow,Mill,Orchard,Park,Pine,Quarry,River,School,Spring,Station,Sunset,Tower,Valley}'
\set street_tails '{Avenue,Close,Court,Drive,Lane,Place,Road,Row,Street,Terrace,Walk,Way}'
\set brand_heads '{Alpine,Amber,Anchor,Arbor,Atlas,Aurora,Birch,Bluebird,Boulder,Brass,Canyon,Cedar,Cinder,Clover,Cobalt,Copper,Coral,Crane,Dune,Ember,Falcon,Fern,Flint,Foxtail,Granite,Harbor,Hazel,Heron,Indigo,Ivory,Juniper,Lark,Linden,Lunar,Maple,Marble,Meadow,Misty,Nomad,Onyx,Opal,Orchid,Pebble,Plume,Quartz,Raven,Saffron,Sable,Thistle,Velvet,Willow,Zephyr}'
\set brand_tails '{Apparel,Arrow,Atelier,Bay,Bridge,Brothers,Club,Collective,Corner,Cove,Creek,Crew,Denim,Door,Dream,Edge,Field,Gate,Goods,Grove,Hall,Hill,House,Island,Joy,Knit,Lane,Line,Loft,Loom,Mark,Mills,Moon,Outfitters,Park,Path,Peak,Point,Quarter,Republic,River,Road,Row,Sky,Sons,Studio,Supply,Thread,Wear,Works}'
\set adjectives '{Basic,Bold,Classic,Cropped,Everyday,Fitted,Floral,Heritage,Layered,Light,Long,Modern,Original,Plain,Pleated,Printed,Relaxed,Ribbed,Short,Slim,Soft,Striped,Tailored,Two-Tone,Vintage,Washed,Weekend,Wide}'
\set materials '{Bamboo,Cotton,Corduroy,Flannel,Fleece,Jersey,Lace,Linen,Merino,Mesh,Modal,Satin,Silk,Stretch,Twill,Wool}'

-- Where people live: users in 100,000.  Two countries go by two names, as in the real data.
create temp table thelook_places (id int generated always as identity, country text, state text, city text,
	latitude float8, longitude float8, postal_prefix text, users int) on commit drop;
insert into thelook_places (country, state, city, latitude, longitude, postal_prefix, users) values
	('China', 'Guangdong', 'Guangzhou', 23.13, 113.26, '5100', 4400),
	('China', 'Guangdong', 'Shenzhen', 22.54, 114.06, '5180', 4200),
	('China', 'Guangdong', 'Dongguan', 23.02, 113.75, '5230', 2300),
	('China', 'Shanghai', 'Shanghai', 31.23, 121.47, '2000', 4100),
	('China', 'Beijing', 'Beijing', 39.90, 116.41, '1000', 3800),
	('China', 'Zhejiang', 'Hangzhou', 30.27, 120.15, '3100', 2200),
	('China', 'Jiangsu', 'Suzhou', 31.30, 120.58, '2150', 2000),
	('China', 'Sichuan', 'Chengdu', 30.57, 104.07, '6100', 1900),
	('China', 'Hubei', 'Wuhan', 30.59, 114.31, '4300', 1800),
	('China', 'Shandong', 'Qingdao', 36.07, 120.38, '2660', 1700),
	('China', 'Henan', 'Zhengzhou', 34.75, 113.63, '4500', 1600),
	('China', 'Hebei', 'Shijiazhuang', 38.04, 114.51, '0500', 1300),
	('China', 'Hunan', 'Changsha', 28.23, 112.94, '4100', 1260),
	('China', 'Liaoning', 'Shenyang', 41.80, 123.43, '1100', 1200),
	('United States', 'California', 'Los Angeles', 34.05, -118.24, '900', 2000),
	('United States', 'California', 'San Diego', 32.72, -117.16, '921', 900),
	('United States', 'California', 'San Jose', 37.34, -121.89, '951', 800),
	('United States', 'Texas', 'Houston', 29.76, -95.37, '770', 1300),
	('United States', 'Texas', 'Dallas', 32.78, -96.80, '752', 1100),
	('United States', 'Texas', 'Austin', 30.27, -97.74, '787', 600),
	('United States', 'New York', 'New York', 40.71, -74.01, '100', 1900),
	('United States', 'New York', 'Buffalo', 42.89, -78.88, '142', 300),
	('United States', 'Florida', 'Miami', 25.76, -80.19, '331', 1000),
	('United States', 'Florida', 'Orlando', 28.54, -81.38, '328', 600),
	('United States', 'Illinois', 'Chicago', 41.88, -87.63, '606', 1300),
	('United States', 'Pennsylvania', 'Philadelphia', 39.95, -75.17, '191', 1000),
	('United States', 'Ohio', 'Columbus', 39.96, -83.00, '432', 950),
	('United States', 'Georgia', 'Atlanta', 33.75, -84.39, '303', 900),
	('United States', 'North Carolina', 'Charlotte', 35.23, -80.84, '282', 900),
	('United States', 'Michigan', 'Detroit', 42.33, -83.05, '482', 800),
	('United States', 'New Jersey', 'Newark', 40.74, -74.17, '071', 750),
	('United States', 'Washington', 'Seattle', 47.61, -122.33, '981', 750),
	('United States', 'Arizona', 'Phoenix', 33.45, -112.07, '850', 750),
	('United States', 'Virginia', 'Richmond', 37.54, -77.44, '232', 650),
	('United States', 'Massachusetts', 'Boston', 42.36, -71.06, '021', 650),
	('United States', 'Tennessee', 'Nashville', 36.16, -86.78, '372', 600),
	('United States', 'Minnesota', 'Minneapolis', 44.98, -93.27, '554', 600),
	('United States', 'Colorado', 'Denver', 39.74, -104.99, '802', 600),
	('United States', 'Oregon', 'Portland', 45.52, -122.68, '972', 400),
	('United States', 'Nevada', 'Las Vegas', 36.17, -115.14, '891', 340),
	('United States', 'Louisiana', 'New Orleans', 29.95, -90.07, '701', 200),
	('Brasil', 'São Paulo', 'São Paulo', -23.55, -46.63, '01310-0', 4000),
	('Brasil', 'São Paulo', 'Campinas', -22.91, -47.06, '13010-0', 900),
	('Brasil', 'Rio de Janeiro', 'Rio de Janeiro', -22.91, -43.17, '20010-0', 2000),
	('Brasil', 'Minas Gerais', 'Belo Horizonte', -19.92, -43.94, '30110-0', 1700),
	('Brasil', 'Bahia', 'Salvador', -12.97, -38.50, '40010-0', 1300),
	('Brasil', 'Paraná', 'Curitiba', -25.43, -49.27, '80010-0', 1000),
	('Brasil', 'Rio Grande do Sul', 'Porto Alegre', -30.03, -51.23, '90010-0', 900),
	('Brasil', 'Ceará', 'Fortaleza', -3.73, -38.52, '60010-0', 800),
	('Brasil', 'Distrito Federal', 'Brasília', -15.79, -47.88, '70040-0', 770),
	('Brasil', 'Pernambuco', 'Recife', -8.05, -34.88, '50010-0', 700),
	('Brasil', 'Amazonas', 'Manaus', -3.12, -60.02, '69005-0', 500),
	('South Korea', 'Seoul', 'Seoul', 37.57, 126.98, '045', 1900),
	('South Korea', 'Gyeonggi-do', 'Suwon', 37.26, 127.03, '164', 1100),
	('South Korea', 'Busan', 'Busan', 35.18, 129.08, '486', 800),
	('South Korea', 'Incheon', 'Incheon', 37.46, 126.71, '215', 700),
	('South Korea', 'Daegu', 'Daegu', 35.87, 128.60, '419', 470),
	('South Korea', 'Gwangju', 'Gwangju', 35.16, 126.85, '611', 300),
	('France', 'Île-de-France', 'Paris', 48.86, 2.35, '750', 1400),
	('France', 'Auvergne-Rhône-Alpes', 'Lyon', 45.76, 4.84, '690', 900),
	('France', 'Occitanie', 'Toulouse', 43.60, 1.44, '310', 800),
	('France', 'Provence-Alpes-Côte d''Azur', 'Marseille', 43.30, 5.37, '130', 700),
	('France', 'Nouvelle-Aquitaine', 'Bordeaux', 44.84, -0.58, '330', 550),
	('France', 'Hauts-de-France', 'Lille', 50.63, 3.06, '590', 400),
	('United Kingdom', 'England', 'London', 51.51, -0.13, 'SE', 2000),
	('United Kingdom', 'England', 'Manchester', 53.48, -2.24, 'M', 900),
	('United Kingdom', 'England', 'Birmingham', 52.48, -1.90, 'B', 700),
	('United Kingdom', 'Scotland', 'Glasgow', 55.86, -4.25, 'G', 560),
	('United Kingdom', 'Wales', 'Cardiff', 51.48, -3.18, 'CF', 300),
	('United Kingdom', 'Northern Ireland', 'Belfast', 54.60, -5.93, 'BT', 150),
	('Germany', 'Nordrhein-Westfalen', 'Köln', 50.94, 6.96, '506', 1000),
	('Germany', 'Bayern', 'München', 48.14, 11.58, '803', 900),
	('Germany', 'Baden-Württemberg', 'Stuttgart', 48.78, 9.18, '701', 760),
	('Germany', 'Berlin', 'Berlin', 52.52, 13.41, '101', 500),
	('Germany', 'Hessen', 'Frankfurt am Main', 50.11, 8.68, '603', 500),
	('Germany', 'Niedersachsen', 'Hannover', 52.37, 9.73, '301', 400),
	('Germany', 'Sachsen', 'Leipzig', 51.34, 12.37, '041', 200),
	('Spain', 'Comunidad de Madrid', 'Madrid', 40.42, -3.70, '280', 1200),
	('Spain', 'Cataluña', 'Barcelona', 41.39, 2.17, '080', 1000),
	('Spain', 'Andalucía', 'Sevilla', 37.39, -5.98, '410', 860),
	('Spain', 'Comunidad Valenciana', 'Valencia', 39.47, -0.38, '460', 600),
	('Spain', 'País Vasco', 'Bilbao', 43.26, -2.93, '480', 300),
	('Japan', 'Tokyo', 'Tokyo', 35.68, 139.69, '100-00', 900),
	('Japan', 'Kanagawa', 'Yokohama', 35.44, 139.64, '220-00', 500),
	('Japan', 'Osaka', 'Osaka', 34.69, 135.50, '530-00', 420),
	('Japan', 'Saitama', 'Saitama', 35.86, 139.65, '330-00', 350),
	('Japan', 'Aichi', 'Nagoya', 35.18, 136.91, '450-00', 300),
	('Australia', 'New South Wales', 'Sydney', -33.87, 151.21, '20', 800),
	('Australia', 'Victoria', 'Melbourne', -37.81, 144.96, '30', 650),
	('Australia', 'Queensland', 'Brisbane', -27.47, 153.03, '40', 470),
	('Australia', 'Western Australia', 'Perth', -31.95, 115.86, '60', 200),
	('Australia', 'South Australia', 'Adelaide', -34.93, 138.60, '50', 100),
	('Belgium', 'Flanders', 'Antwerp', 51.22, 4.40, '20', 650),
	('Belgium', 'Wallonia', 'Liège', 50.63, 5.57, '40', 400),
	('Belgium', 'Brussels', 'Brussels', 50.85, 4.35, '10', 200),
	('Poland', 'Zachodniopomorskie', 'Szczecin', 53.43, 14.55, '70-0', 120),
	('Poland', 'Lubuskie', 'Zielona Góra', 51.94, 15.51, '65-0', 104),
	('Colombia', 'Amazonas', 'Leticia', -4.22, -69.94, '9100', 10),
	('Deutschland', 'Nordrhein-Westfalen', 'Aachen', 50.78, 6.08, '520', 3),
	('Austria', 'Vorarlberg', 'Bregenz', 47.50, 9.75, '69', 3);

-- The lower bounds of the places in 0 ... 1, for width_bucket().
select array_agg(upto / 100000.0 order by id) as thelook_bounds
from (select id, sum(users) over (order by id) - users as upto from thelook_places) p \gset

-- Categories: products at scale 1; the prices below which 0, 5, 25, 50, 75, 95 and 100 % of them
-- lie; cost as a share of the price.
create temp table thelook_categories (id int generated always as identity, department text, category text,
	products int, prices float8[], cost float8, things text[]) on commit drop;
insert into thelook_categories (department, category, products, prices, cost, things) values
	('Women', 'Accessories', 735, '{3,5,12,23,54,150,280}', 0.40, '{Scarf,Belt,Sunglasses,Gloves,"Tote Bag"}'),
	('Women', 'Active', 675, '{4,12,22,33,55,145,340}', 0.42, '{"Training Top","Yoga Pants","Sports Bra",Tank}'),
	('Women', 'Blazers & Jackets', 560, '{8,11,20,60,130,260,440}', 0.38, '{Blazer,Jacket,Bolero}'),
	('Women', 'Clothing Sets', 35, '{20,23,58,70,110,170,200}', 0.61, '{Set,"Gift Set"}'),
	('Women', 'Dresses', 950, '{8,11,33,59,109,265,450}', 0.45, '{Dress,Gown,"Shirt Dress","Maxi Dress"}'),
	('Women', 'Fashion Hoodies & Sweatshirts', 890, '{9,17,30,44,60,98,185}', 0.47, '{Hoodie,Sweatshirt,"Zip Hoodie"}'),
	('Women', 'Intimates', 2360, '{3,9,17,28,42,76,145}', 0.53, '{Bra,Briefs,Camisole,Slip,Bodysuit}'),
	('Women', 'Jeans', 880, '{12,26,45,79,136,198,275}', 0.54, '{"Skinny Jeans","Straight Jeans",Jeggings}'),
	('Women', 'Jumpsuits & Rompers', 160, '{9,10,13,25,49,148,300}', 0.53, '{Jumpsuit,Romper,Playsuit}'),
	('Women', 'Leggings', 560, '{5,7,10,17,30,84,185}', 0.60, '{Leggings,"Capri Leggings",Treggings}'),
	('Women', 'Maternity', 895, '{3,15,26,40,65,120,185}', 0.44, '{"Maternity Top","Maternity Dress","Nursing Bra"}'),
	('Women', 'Outerwear & Coats', 590, '{11,29,65,106,163,375,830}', 0.45, '{Coat,Parka,"Trench Coat","Down Jacket"}'),
	('Women', 'Pants & Capris', 610, '{8,13,25,40,62,143,300}', 0.53, '{Pants,Capris,Trousers,Culottes}'),
	('Women', 'Plus', 755, '{3,7,13,25,44,110,240}', 0.50, '{"Plus Top","Plus Dress","Plus Pants"}'),
	('Women', 'Shorts', 825, '{5,10,22,32,50,100,190}', 0.50, '{Shorts,"Bermuda Shorts","Denim Shorts"}'),
	('Women', 'Skirts', 365, '{7,10,24,37,60,138,250}', 0.40, '{Skirt,"Pencil Skirt","Maxi Skirt"}'),
	('Women', 'Sleep & Lounge', 825, '{5,13,25,38,64,120,190}', 0.60, '{Pajamas,Nightgown,Robe,"Lounge Pants"}'),
	('Women', 'Socks & Hosiery', 665, '{3,6,10,14,20,33,85}', 0.40, '{Tights,Socks,"Knee Highs",Stockings}'),
	('Women', 'Suits', 185, '{14,26,83,123,145,196,235}', 0.60, '{"Pant Suit","Skirt Suit"}'),
	('Women', 'Sweaters', 735, '{6,14,32,54,90,188,380}', 0.45, '{Cardigan,Pullover,Sweater,"Turtleneck Sweater"}'),
	('Women', 'Swim', 890, '{7,20,35,53,82,156,220}', 0.42, '{Bikini,Swimsuit,Tankini,"Cover Up"}'),
	('Women', 'Tops & Tees', 780, '{4,10,20,30,50,99,235}', 0.56, '{Tee,Blouse,Tunic,Tank}'),
	('Men', 'Accessories', 815, '{2,5,16,25,45,150,225}', 0.40, '{Tie,Belt,Cap,Wallet,Sunglasses}'),
	('Men', 'Active', 750, '{6,12,22,35,55,110,260}', 0.42, '{"Training Tee","Track Pants","Running Shirt"}'),
	('Men', 'Fashion Hoodies & Sweatshirts', 965, '{11,22,40,52,69,115,215}', 0.55, '{Hoodie,Sweatshirt,"Zip Hoodie"}'),
	('Men', 'Jeans', 1110, '{10,30,50,78,148,214,345}', 0.53, '{"Slim Jeans","Straight Jeans","Relaxed Jeans"}'),
	('Men', 'Outerwear & Coats', 825, '{12,36,70,110,170,399,870}', 0.44, '{Coat,Parka,"Rain Jacket","Leather Jacket"}'),
	('Men', 'Pants', 1035, '{10,16,35,50,70,140,215}', 0.46, '{Chinos,Trousers,"Cargo Pants"}'),
	('Men', 'Shorts', 935, '{8,18,34,44,55,98,185}', 0.50, '{"Chino Shorts","Cargo Shorts",Shorts}'),
	('Men', 'Sleep & Lounge', 935, '{7,15,25,37,60,132,305}', 0.40, '{Pajamas,Robe,"Lounge Pants"}'),
	('Men', 'Socks', 900, '{3,8,12,15,22,37,90}', 0.60, '{"Crew Socks","Ankle Socks","Dress Socks"}'),
	('Men', 'Suits & Sport Coats', 735, '{10,19,55,100,175,298,480}', 0.40, '{Suit,"Sport Coat",Vest}'),
	('Men', 'Sweaters', 995, '{9,22,39,60,98,180,330}', 0.50, '{Pullover,Cardigan,"Crewneck Sweater"}'),
	('Men', 'Swim', 900, '{13,21,35,50,60,85,165}', 0.60, '{"Swim Trunks","Board Shorts","Rash Guard"}'),
	('Men', 'Tops & Tees', 1080, '{6,17,25,34,50,100,180}', 0.56, '{Tee,Polo,Henley,Shirt}'),
	('Men', 'Underwear', 1095, '{6,13,20,25,30,49,110}', 0.47, '{Boxers,Briefs,Undershirt,"Boxer Briefs"}');

--
-- The shop
--
insert into distribution_centers values
	(1, 'Atlanta GA', 33.749, -84.388), (2, 'Chicago IL', 41.8781, -87.6298), (3, 'Columbus OH', 39.9612, -82.9988),
	(4, 'Dallas TX', 32.7767, -96.797), (5, 'Denver CO', 39.7392, -104.9903), (6, 'Los Angeles CA', 34.0522, -118.2437),
	(7, 'Nashville TN', 36.1627, -86.7816), (8, 'Newark NJ', 40.7357, -74.1724), (9, 'Seattle WA', 47.6062, -122.3321),
	(10, 'Tampa FL', 27.9506, -82.4572);

-- A price is drawn from its category's quantiles, bent between them, then given a usual ending; float4 lends it the
-- noise.  Few of the 2,600 brands make many products: 45 of them half of all, but for a third of the
-- products every category starts elsewhere in the list of brands.
insert into products
select id, retail_price * (cost - 0.05 + pg_temp.below(101, id, 'product cost') / 1000.0)::float4::float8, category,
	case when id % 14500 <> 99 then
		concat_ws(' ', brand, department || '''s', pg_temp.pick(:'adjectives', id, 'product adjective'),
				  pg_temp.pick(:'materials', id, 'product material'), pg_temp.pick(things, id, 'product thing')) end,
	brand, retail_price, department, sku, center
from (
	select id, category, department, cost, things,
		case when id % 1213 <> 7 then
			(:'brand_heads'::text[])[1 + brand % 52] || ' '
				|| (:'brand_tails'::text[])[1 + (brand / 52 + brand) % 50] end as brand,
		(case width_bucket(pg_temp.u(id, 'price ending'), '{0.38,0.61,0.70,0.77}'::float8[])
			when 0 then round(price)
			when 1 then floor(price) + 0.99
			when 2 then floor(price) + 0.95
			when 3 then floor(price) + 0.50
			else floor(price) + pg_temp.below(100, id, 'price cents') / 100.0::float8
		end)::float4::float8 as retail_price,
		upper(lpad(to_hex(pg_temp.hash(id, 'sku head')), 16, '0')
			|| lpad(to_hex(pg_temp.hash(id, 'sku tail')), 16, '0')) as sku,
		(1 + pg_temp.below(10, id, 'product center'))::text as center
	from (
		select p.id, category, department, cost, things,
			(floor(45 * b / (1 + 45 / 2600.0::float8 - b))::int
				+ case when pg_temp.u(p.id, 'brand home') < 0.35 then 71 * c.id else 0 end) % 2600 as brand,
			prices[s] + (prices[s + 1] - prices[s]) * t * (0.65 + 0.35 * t) as price
		from (select row_number() over (order by id, n)::int as id, id as category_id
			from thelook_categories, generate_series(1, greatest(2, round(products * :thelook_catalogue))::int) n) p
		join thelook_categories c on c.id = p.category_id,
		lateral (select '{0,0.05,0.25,0.5,0.75,0.95,1}'::float8[] as steps, pg_temp.u(p.id, 'price') as q,
			pg_temp.u(p.id, 'brand') as b offset 0) r,
		lateral (select width_bucket(q, steps) as s) k,
		lateral (select (q - steps[s]) / (steps[s + 1] - steps[s]) as t) i
		offset 0) d
	) e
order by id;
alter table products add primary key (id);
analyze products;

select count(*) filter (where department = 'Women') as thelook_women,
	   count(*) filter (where department = 'Men') as thelook_men from products \gset

-- Sign-ups are even over the years, but one in forty falls into the last six days.
insert into users
select u.id, first_name, last_name,
	lower(first_name || last_name collate "C") || '@example.' || pg_temp.pick('{com,net,org}', u.id, 'email'),
	12 + pg_temp.below(59, u.id, 'age'), gender, state,
	1 + pg_temp.below(9999, u.id, 'house') || ' ' || pg_temp.pick(:'street_heads', u.id, 'street head')
		|| ' ' || pg_temp.pick(:'street_tails', u.id, 'street tail'),
	postal_prefix || lpad(pg_temp.below(100, u.id, 'postal')::text, 2, '0'),
	case when pg_temp.u(u.id, 'city') < 0.01 then 'null' else city end, country,
	latitude + (pg_temp.below(200001, u.id, 'latitude') - 100000) / 1000000.0::float8,
	longitude + (pg_temp.below(200001, u.id, 'longitude') - 100000) / 1000000.0::float8,
	pg_temp.pick('{Search,Organic,Facebook,Email,Display}', '{0.70,0.85,0.91,0.96}', u.id, 'channel'),
	case when pg_temp.u(u.id, 'recent') < 0.025
		then :'thelook_as_of'::timestamp - interval '1 day' * (1 + pg_temp.below(6, u.id, 'recent day'))
			+ interval '1 minute' * pg_temp.below(19 * 60, u.id, 'recent minute')
		else pg_temp.moment(u.id, 'signup') end
from (
	select id, gender,
		pg_temp.pick(case gender when 'F' then :'female_names' else :'male_names' end::text[],
					 id, 'first name') as first_name,
		pg_temp.pick(:'surname_heads', id, 'surname head')
			|| pg_temp.pick(:'surname_tails', id, 'surname tail') as last_name,
		width_bucket(pg_temp.u(id, 'place'), :'thelook_bounds'::float8[]) as place
	from (select id, pg_temp.pick('{F,M}', id, 'gender') as gender from generate_series(1, :thelook_users) id offset 0) g
	offset 0) u
join thelook_places p on p.id = u.place
order by u.id;
alter table users add primary key (id);
analyze users;

insert into orders
select row_number() over (order by user_id, n), user_id, status, gender, created_at,
	case when status = 'Returned' then delivered_at + interval '1 minute' * pg_temp.below(3 * 1440, key, 'returned') end,
	shipped_at,
	case when status <> 'Shipped' then delivered_at end,
	1 + width_bucket(pg_temp.u(key, 'basket'), '{0.70,0.90,0.95}'::float8[])
from (
	select *, shipped_at + interval '1 minute' * pg_temp.below(5 * 1440, key, 'delivered') as delivered_at
	from (
		select *, case when status not in ('Processing', 'Cancelled')
			then created_at + interval '1 minute' * pg_temp.below(3 * 1440, key, 'shipped') end as shipped_at
		from (
			select u.id as user_id, n, u.gender, u.id * 8::bigint + n as key,
				u.created_at + interval '1 second' * pg_temp.below(
					extract(epoch from :'thelook_as_of'::timestamp - u.created_at)::int,
					u.id * 8::bigint + n, 'ordered') as created_at,
				pg_temp.pick('{Shipped,Complete,Processing,Cancelled,Returned}', '{0.30,0.55,0.75,0.90}',
							 u.id * 8::bigint + n, 'status') as status
			from users u,
				generate_series(1, width_bucket(pg_temp.u(u.id, 'orders'), '{0.20,0.70,0.90,0.95}'::float8[])) n
			offset 0) a
		offset 0) b
	offset 0) c
order by 1;

-- One line per item with the session that led to it: it starts up to four hours before the order,
-- visits the pages once per item of the basket, and ends in the purchase, in a basket of several
-- items up to four days later and booked within three minutes.  Beside the piece sold, one to three
-- lie unsold on the shelf.
create temp table thelook_lines on commit drop as
select id, order_id, user_id, num_of_item, status, shipped_at, delivered_at, returned_at, product_id,
	sum(1 + unsold) over (order by id) - unsold as inventory_item_id, unsold,
	visit_at, steps, sum(steps) over (order by id) - steps as events_before, delay,
	visit_at + delay + interval '1 second' * (90 * (steps - 1) + pg_temp.below(91, id * 16 + steps, 'step')
		+ case num_of_item when 1 then 0 else pg_temp.below(180, id, 'booking') end) as sold_at
from (
	select *,
		case gender when 'F' then 1 + pg_temp.below(:thelook_women, id, 'product')
			else 1 + :thelook_women + pg_temp.below(:thelook_men, id, 'product') end as product_id,
		1 + width_bucket(pg_temp.u(id, 'unsold'), '{0.5,0.8}'::float8[]) as unsold,
		created_at - interval '1 second' * pg_temp.below(4 * 3600, id, 'visit') as visit_at,
		case num_of_item when 1 then 5 else 3 * num_of_item + 1 end as steps,
		interval '1 day' * case num_of_item when 1 then 0 else pg_temp.below(5, id, 'delay') end as delay
	from (select row_number() over (order by order_id, n) as id, o.*
		from orders o, generate_series(1, num_of_item) n) a
	offset 0) b;
analyze thelook_lines;

insert into order_items
select l.id, order_id, user_id, product_id, inventory_item_id, status, sold_at, shipped_at, delivered_at,
	returned_at, retail_price
from thelook_lines l join products p on p.id = l.product_id
order by l.id;

insert into inventory_items
select inventory_item_id + n, product_id,
	case n when 0 then sold_at - interval '1 minute' * (1 + pg_temp.below(60 * 1440 - 1, l.id, 'stocked'))
		else :'thelook_from'::timestamp + interval '1 year' + interval '1 minute' * pg_temp.below(
			(extract(epoch from :'thelook_as_of'::timestamp - :'thelook_from'::timestamp - interval '1 year') / 60)::int,
			l.id * 4 + n, 'restocked') end,
	case n when 0 then sold_at end,
	cost, category, name, brand, retail_price, department, sku, distribution_center_id
from thelook_lines l join products p on p.id = l.product_id, generate_series(0, unsold) n
order by inventory_item_id + n;

-- Sessions that end in a purchase, then five per user of visitors who stay unknown and buy nothing.
insert into events
select events_before + n, user_id, n, session_id,
	visit_at + pace * (beats * (n - 1) + pg_temp.below(beats + 1, key * 16 + n, 'step'))
		+ case when n = steps then delay else '0' end,
	ip_address, city, state, postal_code, browser, traffic_source,
	case path[n] when 'department' then department_uri when 'product' then product_uri else '/' || path[n] end,
	path[n]
from (
	select events_before, key, user_id, path, steps, visit_at, delay, pace, beats, city, state, postal_code,
		(lpad(to_hex(pg_temp.hash(key, 'session head') & ~61440 | 16384), 16, '0')
			|| lpad(to_hex(pg_temp.hash(key, 'session tail') & 4611686018427387903 | -9223372036854775808), 16, '0')
			)::uuid::text as session_id,
		concat_ws('.', 1 + pg_temp.below(223, key, 'ip a'), pg_temp.below(256, key, 'ip b'),
				  pg_temp.below(256, key, 'ip c'), 1 + pg_temp.below(254, key, 'ip d')) as ip_address,
		pg_temp.pick('{Chrome,Firefox,Safari,IE,Other}', '{0.50,0.70,0.90,0.95}', key, 'browser') as browser,
		pg_temp.pick('{Email,Adwords,Facebook,YouTube,Organic}', '{0.45,0.75,0.85,0.95}',
					 key, 'source') as traffic_source,
		lower(replace('/department/' || department || '/category/' || category
			|| '/brand/' || coalesce(brand, ''), ' ', '')
			collate "C") as department_uri,
		'/product/' || product_id as product_uri
	from (
		select events_before, l.id as key, user_id, steps, visit_at, delay, interval '1 second' as pace, 90 as beats,
			(case num_of_item when 1 then '{home,department,product,cart,purchase}'
				else '{' || repeat('department,product,cart,', num_of_item) || 'purchase}' end)::text[] as path,
			city, state, postal_code, product_id
		from thelook_lines l join users u on u.id = l.user_id
		union all
		select (select sum(steps) from thelook_lines) + sum(cardinality(path)) over (order by g.id) - cardinality(path),
			-g.id, null, cardinality(path), pg_temp.moment(-g.id, 'visit'), '0', interval '1 minute', 15, path,
			case when pg_temp.u(-g.id, 'city') < 0.01 then 'null' else city end, state,
			postal_prefix || lpad(pg_temp.below(100, -g.id, 'postal')::text, 2, '0'),
			1 + pg_temp.below(:thelook_women + :thelook_men, -g.id, 'product')
		from (
			select id, width_bucket(pg_temp.u(-id, 'place'), :'thelook_bounds'::float8[]) as place,
				pg_temp.pick('{"{product}","{department,product}","{department,product,cart}","{product,cart,cancel}"}',
							 -id, 'path')::text[] as path
			from generate_series(1, 5 * :thelook_users) id
			offset 0) g
		join thelook_places on thelook_places.id = g.place) s
	join products p on p.id = s.product_id
	offset 0) v, generate_series(1, steps) n;

alter table orders add primary key (order_id);
alter table order_items add primary key (id);
alter table events add primary key (id);
alter table inventory_items add primary key (id);
alter table distribution_centers add primary key (id);
create index on order_items (user_id);
create index on orders (user_id);
create index on events (user_id);

drop function pg_temp.moment, pg_temp.pick(text[], float8[], bigint, text), pg_temp.pick(text[], bigint, text),
	pg_temp.below, pg_temp.u, pg_temp.hash;
commit;

vacuum (analyze) users, orders, order_items, products, events, inventory_items, distribution_centers;

select (select count(*) from users) || ' users, ' || (select count(*) from orders) || ' orders, '
	|| (select count(*) from order_items) || ' order items, ' || (select count(*) from products) || ' products, '
	|| (select count(*) from inventory_items) || ' inventory items, ' || (select count(*) from events) || ' events, '
	|| (select count(*) from distribution_centers) || ' distribution centers' as thelook_rows \gset
\echo :thelook_rows
\set QUIET :thelook_quiet
