// client_gcs.js - what Google's own client for Node.js makes of a service, with credentials of each kind.
// SPDX-License-Identifier: Apache-2.0
//
// usage: client_gcs.js URL KIND CREDENTIALS.json BUCKET OPERATION... ; KIND: refresh, external, metadata.
// Operations: put NAME FILE (by a session), once NAME FILE (in one request), create NAME FILE (only if absent), get NAME FILE, part NAME FIRST LAST,
// list PREFIX, remove NAME, versions PREFIX (how many). Prints a line for each; what fails is "OPERATION: CODE MESSAGE".
'use strict';
const path = require('path');
const at = name => require(path.join(process.env.NPM_DIR, 'node_modules', name));
const {Storage} = at('@google-cloud/storage');
const {OAuth2Client, ExternalAccountClient, Compute} = at('google-auth-library');
const fs = require('fs');

const [url, kind, file, name, ...words] = process.argv.slice(2);

function client() {
  if (kind === 'metadata') return new Compute();
  const c = JSON.parse(fs.readFileSync(file));
  if (kind === 'external') {
    c.scopes = ['https://www.googleapis.com/auth/cloud-platform'];
    return ExternalAccountClient.fromJSON(c);
  }
  const user = new OAuth2Client({clientId: c.client_id, clientSecret: c.client_secret, endpoints: {oauth2TokenUrl: c.token_uri}});
  user.setCredentials({refresh_token: c.refresh_token});
  return user;
}

const storage = new Storage({apiEndpoint: url, useAuthWithCustomEndpoint: true, projectId: 'p1', authClient: client(), retryOptions: {autoRetry: false}});
const bucket = storage.bucket(name);
const operations = {
  put: async (key, from) => (await bucket.upload(from, {destination: key, resumable: true, validation: 'crc32c'}))[0].metadata.crc32c,
  once: async (key, from) => (await bucket.upload(from, {destination: key, resumable: false, validation: 'md5'}))[0].metadata.md5Hash,
  create: async (key, from) => (await bucket.upload(from, {destination: key, resumable: false, preconditionOpts: {ifGenerationMatch: 0}}))[0].metadata.size,
  get: async (key, to) => { await bucket.file(key).download({destination: to, validation: 'crc32c'}); return 'ok'; },
  part: async (key, start, end) => String((await bucket.file(key).download({start: +start, end: +end}))[0]),
  list: async prefix => (await bucket.getFiles({prefix, maxResults: 1000}))[0].map(f => f.name).join(' '),
  remove: async key => { await bucket.file(key).delete(); return 'ok'; },
  versions: async prefix => (await bucket.getFiles({prefix, versions: true}))[0].length,
};

(async () => {
  for (const word of words) {
    const [op, ...rest] = word.split(' ');
    try {
      console.log(`${op}: ${await operations[op](...rest)}`);
    } catch (e) {
      console.log(`${op}: ${e.code} ${e.message}`);
    }
  }
})();
