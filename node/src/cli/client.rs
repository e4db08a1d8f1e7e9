//! The HTTP client of the command line: one node, one token, plain HTTP.

use std::io::{self, Read};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};
use ureq::http;
pub use ureq::http::Method;

use super::exit::{CliError, Problem};

/// How long a connection may take to come up.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long the node may take until its answer begins; the node itself gives up after 60 s.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// The most bytes of an answer that is read as a whole.
const ANSWER_MAX: u64 = 256 << 20;
/// What may stand unescaped in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of one running node. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: String,
}

/// A request: what to ask, besides the token.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    page: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Asks for a page, for example `/v1/status`.
    #[must_use]
    pub fn new(method: Method, page: impl Into<String>) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { method, page: page.into(), query, headers, body: Vec::new() }
    }

    /// Reads a page.
    #[must_use]
    pub fn get(page: impl Into<String>) -> Self {
        Self::new(Method::GET, page)
    }

    /// With a parameter of the query.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts read best as they are")]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a parameter of the query, when there is one.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With the reason of a write, in any language.
    #[must_use]
    pub fn reason(self, reason: &str) -> Self {
        self.header("Concord-Reason", utf8_percent_encode(reason, QUERY).to_string())
    }

    /// With a body.
    #[must_use]
    pub fn body(self, media_type: &str, body: Vec<u8>) -> Self {
        Self { body, ..self.header("Content-Type", media_type) }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Json) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    fn path(&self) -> String {
        let mut path = self.page.clone();
        for (at, (name, value)) in self.query.iter().enumerate() {
            path.push(if at == 0 { '?' } else { '&' });
            path.push_str(&format!("{name}={}", utf8_percent_encode(value, QUERY)));
        }
        path
    }
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// [`CliError::Usage`] when the address is not one of plain HTTP.
    pub fn new(url: &str, token: &str) -> Result<Self, CliError> {
        let url = url.trim_end_matches('/');
        let authority = url.strip_prefix("http://").filter(|rest| !rest.is_empty());
        if authority.is_none_or(|rest| rest.contains('/')) {
            return Err(CliError::Usage(format!(
                "{url:?} is not the address of a node. Write http://HOST:PORT; for a node behind \
                 HTTPS, run the command on its machine or through a tunnel."
            )));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The token must not travel through a proxy that the environment happens to name.
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_recv_response(Some(ANSWER_TIME))
            .user_agent(concat!("concord/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = ureq::Agent::new_with_config(config);
        Ok(Self { agent, url: url.to_owned(), token: token.to_owned() })
    }

    /// The address of the node.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The secret with which it asks.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Asks, and reads the whole answer as JSON.
    ///
    /// # Errors
    /// [`CliError::Unreachable`] when the node does not answer, [`CliError::Problem`] when it refuses.
    pub fn ask(&self, request: &Request) -> Result<Json, CliError> {
        let (json, _) = self.ask_with(request, "")?;
        Ok(json)
    }

    /// Asks, and reads the whole answer as JSON, and a header of it when it has it.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_with(
        &self,
        request: &Request,
        name: &str,
    ) -> Result<(Json, Option<String>), CliError> {
        let mut response = self.send(request)?;
        let header = response.headers().get(name).and_then(|value| value.to_str().ok());
        let header = header.map(str::to_owned);
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let bytes = body.map_err(|error| self.broken_off(&error))?;
        let json = serde_json::from_slice(&bytes).map_err(|_| self.not_a_node())?;
        Ok((json, header))
    }

    /// Asks, and reads the whole answer as it is.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_bytes(&self, request: &Request) -> Result<Vec<u8>, CliError> {
        let mut response = self.send(request)?;
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        body.map_err(|error| self.broken_off(&error))
    }

    /// Asks, and gives the answer as a stream of any length.
    ///
    /// # Errors
    /// As [`Self::ask`]. A stream that breaks off ends in an error of its reader.
    pub fn stream(&self, request: &Request) -> Result<impl Read + use<>, CliError> {
        let body = self.send(request)?.into_body();
        Ok(body.into_with_config().limit(u64::MAX).reader())
    }

    /// The error for an answer that ended too early.
    #[must_use]
    pub fn broken_off(&self, error: &dyn std::error::Error) -> CliError {
        CliError::Unreachable(format!(
            "The answer of the node at {} broke off ({error}). Run the command again.",
            self.url
        ))
    }

    fn send(&self, request: &Request) -> Result<http::Response<ureq::Body>, CliError> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", self.url, request.path()))
            .header("Authorization", format!("Bearer {}", self.token));
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let http = builder.body(request.body.as_slice()).map_err(|error| {
            CliError::Usage(format!(
                "The request cannot be sent ({error}). Check the token, and the values of \
                 --source, --if-match and the id."
            ))
        })?;
        let mut response = self.agent.run(http).map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let body = response.body_mut().read_to_vec().unwrap_or_default();
        let document = serde_json::from_slice(&body).ok().filter(Json::is_object);
        // A behind node answers its health page with 503 and no problem; so does any proxy.
        let document = document.unwrap_or_else(|| {
            json!({"status": status, "code": "", "detail": format!(
                "{} answered with status {status} and no explanation; is it a Concord node?",
                self.url
            )})
        });
        Err(CliError::Problem(Box::new(Problem { status, document })))
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        let refused = matches!(error, ureq::Error::Io(error)
            if error.kind() == io::ErrorKind::ConnectionRefused);
        let why = if refused {
            "nothing listens there".to_owned()
        } else if matches!(error, ureq::Error::HostNotFound) {
            "there is no such host".to_owned()
        } else if matches!(error, ureq::Error::Timeout(_)) {
            "it took too long".to_owned()
        } else {
            error.to_string()
        };
        CliError::Unreachable(format!(
            "The node at {} does not answer: {why}. Start it with \"concord run\", or name another \
             one with --dir or --url.",
            self.url
        ))
    }

    fn not_a_node(&self) -> CliError {
        CliError::Unreachable(format!(
            "What answers at {} is not a Concord node. Check the address.",
            self.url
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_escaped() {
        let request = Request::get("/v1/customers")
            .query("name", "Müller & Söhne")
            .maybe("iban", None::<&str>)
            .query("limit", 2);
        assert_eq!(request.path(), "/v1/customers?name=M%C3%BCller%20%26%20S%C3%B6hne&limit=2");
    }

    #[test]
    fn only_plain_http_addresses_are_taken() {
        for url in ["http://127.0.0.1:7401", "http://[::1]:7401/", "http://emea.example:80"] {
            assert!(Client::new(url, "s").is_ok(), "{url}");
        }
        for url in ["", "127.0.0.1:7401", "https://x:1", "http://", "http://x/v1"] {
            assert!(matches!(Client::new(url, "s"), Err(CliError::Usage(_))), "{url}");
        }
    }

    #[test]
    fn nobody_there_is_exit_4_with_what_to_do() {
        // A port that was just free.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = Client::new(&format!("http://127.0.0.1:{port}"), "s").unwrap();
        let error = client.ask(&Request::get("/v1/status")).unwrap_err();
        assert_eq!(error.exit(), super::super::exit::Exit::Unreachable);
        assert!(error.to_string().contains("concord run"), "{error}");
    }
}
