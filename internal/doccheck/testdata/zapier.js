// Calls a function of the integration as Zapier does: node zapier.js MODULES FUNCTION BUNDLE. What it returns is printed as JSON.
const [dir, name, text] = process.argv.slice(2);
const Module = require('node:module');
const load = Module._load;
Module._load = (path, ...rest) => (path === 'zapier-platform-core' ? {version: '18.0.0'} : load(path, ...rest));
const app = require(dir);
const bundle = JSON.parse(text);

// What z.request does, as far as the integration can tell.
const z = {
  request: async (options) => {
    let request = {method: 'GET', headers: {Accept: 'application/json'}, params: {}, ...options};
    for (const before of app.beforeRequest) request = before(request, z, bundle);
    const url = new URL(request.url);
    for (const [key, value] of Object.entries(request.params)) url.searchParams.set(key, value);
    if (request.body) request.headers['Content-Type'] = 'application/json';
    const got = await fetch(url, {method: request.method, headers: request.headers, body: request.body && JSON.stringify(request.body)});
    const content = await got.text();
    const response = {status: got.status, content, data: content && JSON.parse(content)};
    response.throwForStatus = () => {
      if (got.status >= 400) throw new Error(`${request.method} ${url}: ${got.status} ${content}`);
    };
    if (!request.skipThrowForStatus) response.throwForStatus();
    return response;
  },
};

const functions = {...app.triggers.contact_created.operation, test: () => z.request(app.authentication.test).then((response) => response.status)};
functions[name](z, bundle).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
