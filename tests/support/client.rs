//! A small synchronous HTTP/1.1 client: one request per connection, headers kept in order and with
//! their duplicates, so that tests see what was on the wire and not what a library made of it.

use std::fmt::{self, Write as _};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::browser::Jar;

/// Generous: a debug build hashes passwords slowly, and 32 of them may stand in a queue.
const TIMEOUT: Duration = Duration::from_secs(90);

enum Body {
    None,
    Sized(Vec<u8>),
    Chunked(Vec<u8>),
}

/// A request under construction. With a jar, it carries the jar's cookies and keeps the answer's.
pub(crate) struct Request<'a> {
    addr: SocketAddr,
    jar: Option<&'a mut Jar>,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

impl<'a> Request<'a> {
    pub(crate) fn new(addr: SocketAddr, method: &str, target: &str) -> Self {
        Request {
            addr,
            jar: None,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Body::None,
        }
    }

    pub(crate) fn with_jar(mut self, jar: &'a mut Jar) -> Self {
        self.jar = Some(jar);
        self
    }

    /// Adds a header; a second one of the same name is sent as a second line.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn cookie(self, name: &str, value: &str) -> Self {
        self.header("Cookie", &format!("{name}={value}"))
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    pub(crate) fn form(self, encoded: &str) -> Self {
        self.body("application/x-www-form-urlencoded", encoded)
    }

    pub(crate) fn body(mut self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(bytes.into());
        self.header("Content-Type", content_type)
    }

    /// The same body, but in chunks: its length is not announced.
    pub(crate) fn chunked(mut self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Chunked(bytes.into());
        self.header("Content-Type", content_type)
    }

    #[track_caller]
    pub(crate) fn send(self) -> Response {
        let wire = self.encode();
        let response = match exchange(self.addr, &wire, self.method == "HEAD") {
            Ok(response) => response,
            Err(error) => panic!("{} {}: {error}", self.method, self.target),
        };
        if let Some(jar) = self.jar {
            jar.keep(&response);
        }
        response
    }

    fn encode(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut line = |name: &str, value: &str| {
            write!(head, "{name}: {value}\r\n").expect("a string takes it");
        };
        line("Host", &self.addr.to_string());
        line("Connection", "close");
        if let Some(cookies) = self.jar.as_ref().and_then(|jar| jar.header()) {
            line("Cookie", &cookies);
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        match &self.body {
            Body::Sized(bytes) => line("Content-Length", &bytes.len().to_string()),
            Body::Chunked(_) => line("Transfer-Encoding", "chunked"),
            Body::None if matches!(&*self.method, "POST" | "PUT") => line("Content-Length", "0"),
            Body::None => {}
        }
        let mut wire = (head + "\r\n").into_bytes();
        match &self.body {
            Body::Sized(bytes) => wire.extend_from_slice(bytes),
            Body::Chunked(bytes) => {
                for chunk in bytes.chunks(1000) {
                    wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(b"0\r\n\r\n");
            }
            Body::None => {}
        }
        wire
    }
}

/// Sends bytes as they are, well-formed or not, and reads one answer.
pub(crate) fn exchange(addr: SocketAddr, wire: &[u8], head_only: bool) -> io::Result<Response> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // A server may answer and hang up before it has read everything: the answer counts then.
    let sent = stream.write_all(wire);
    let received = Response::read(&mut BufReader::new(stream), head_only);
    if received.is_err() {
        sent?;
    }
    received
}

#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In the order of the wire, duplicates included, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    fn read(reader: &mut impl BufRead, head_only: bool) -> io::Result<Self> {
        loop {
            let status_line = read_line(reader)?;
            let status = status_line
                .split(' ')
                .nth(1)
                .and_then(|code| code.parse().ok())
                .ok_or_else(|| malformed(&status_line))?;
            let mut headers = Vec::new();
            loop {
                let line = read_line(reader)?;
                if line.is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            let mut response = Response { status, headers, body: Vec::new() };
            if (100..200).contains(&status) {
                continue;
            }
            if !head_only && status != 204 && status != 304 {
                response.body = response.read_body(reader)?;
            }
            return Ok(response);
        }
    }

    fn read_body(&self, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            loop {
                let line = read_line(reader)?;
                let digits = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
                if size == 0 {
                    while !read_line(reader)?.is_empty() {}
                    return Ok(body);
                }
                let start = body.len();
                body.resize(start + size, 0);
                reader.read_exact(&mut body[start..])?;
                read_line(reader)?;
            }
        }
        if let Some(length) = self.header("content-length") {
            body.resize(length.parse().map_err(|_| malformed(length))?, 0);
            reader.read_exact(&mut body)?;
        } else {
            reader.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// The value of a header that may occur once only.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.header_all(name).into_iter();
        let first = all.next();
        assert!(all.next().is_none(), "{name} occurs twice: {self}");
        first
    }

    pub(crate) fn header_all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {self}"),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn set_cookies(&self) -> Vec<SetCookie> {
        self.header_all("set-cookie").into_iter().map(SetCookie::parse).collect()
    }

    /// The one cookie of that name that this response sets.
    #[track_caller]
    pub(crate) fn set_cookie(&self, name: &str) -> SetCookie {
        let all = self.set_cookies();
        let mut named = all.into_iter().filter(|cookie| cookie.name == name);
        let first = named.next();
        assert!(named.next().is_none(), "{name} is set twice: {self}");
        first.unwrap_or_else(|| panic!("{name} is not set: {self}"))
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.text())
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| malformed("a line that is not UTF-8"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed response: {what:?}"))
}

/// One `Set-Cookie` line, taken apart and otherwise untouched.
#[derive(Debug, Clone)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) attributes: Vec<String>,
}

impl SetCookie {
    fn parse(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        SetCookie { name: name.to_owned(), value: value.to_owned(), attributes: parts.map(str::to_owned).collect() }
    }

    pub(crate) fn max_age(&self) -> Option<i64> {
        let ages = self.attributes.iter().filter_map(|attribute| attribute.split_once('='));
        let mut ages = ages.filter(|(name, _)| name.eq_ignore_ascii_case("max-age"));
        ages.next().and_then(|(_, seconds)| seconds.parse().ok())
    }
}
