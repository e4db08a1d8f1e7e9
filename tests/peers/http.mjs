// Requests with JSON in both directions. Unlike `fetch` they may take as long as they need: a
// replication is one request.

import http from "node:http";

export function ask(method, url, body, headers = {}) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const kind = text === undefined ? {} : { "content-type": "application/json" };
  return new Promise((done, fail) => {
    const request = http.request(url, { method, headers: { ...kind, ...headers } }, (response) => {
      let answer = "";
      response.setEncoding("utf8").on("data", (part) => (answer += part));
      response.on("end", () => {
        if (response.statusCode < 300) return done(answer && JSON.parse(answer));
        fail(new Error(`${method} ${url}: ${response.statusCode} ${answer}`));
      });
      response.on("error", fail);
    });
    request.on("error", fail);
    request.end(text);
  });
}
