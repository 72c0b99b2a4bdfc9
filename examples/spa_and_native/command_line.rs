//! The commands of a program that is a client: each is a process of its own, and finds the session where the last one left it.

use std::{env, io, path::PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use portcullis::{Secret, client::ClientAuth};
use serde_json::Value;
use tower::{Layer, ServiceExt};

use crate::{state_file::StateFile, support::BoxError};

const USAGE: &str = "usage: spa_and_native [--server URL] [--state PATH] COMMAND
  serve             the service, at ADDR
  register EMAIL    a new user; the password is PASSWORD, or the first line of the standard input
  login EMAIL       likewise
  whoami            who is signed in
  sessions          where else
  logout            nowhere but there";

type Http = Client<HttpConnector, Full<Bytes>>;

struct CommandLine {
    server: String,
    auth: ClientAuth,
    http: Http,
}

pub(crate) async fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), BoxError> {
    let (mut server, mut state, mut words) = (None, None, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--server" => server = arguments.next(),
            "--state" => state = arguments.next(),
            _ => words.push(argument),
        }
    }
    let server = server.unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    let state = StateFile::at(state.map_or_else(default_state, |path| Ok(path.into()))?)?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    let auth = ClientAuth::builder(&server).storage(state).user_agent("spa_and_native/1.0").build(http.clone())?;
    let this = CommandLine { server, auth, http };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["register", email] => this.greet(this.auth.register(email, password()?, []).await?),
        ["login", email] => this.greet(this.auth.sign_in(email, password()?).await?),
        ["whoami"] => this.greet(this.get("/auth/me").await?["user"].take()),
        ["sessions"] => this.list(&this.get("/auth/sessions").await?["sessions"]),
        ["logout"] => this.auth.sign_out().await?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// What belongs to a program, and not to its settings.
fn default_state() -> Result<PathBuf, BoxError> {
    let directory = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || env::home_dir().map(|home| home.join(".local/state"));
    let directory = directory.or_else(home).ok_or("there is no home directory: use --state PATH")?;
    Ok(directory.join("portcullis-example").join("session"))
}

/// Not an argument, which others on the machine can read.
fn password() -> Result<Secret<String>, BoxError> {
    if let Ok(password) = env::var("PASSWORD") {
        return Ok(password.into());
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

#[expect(clippy::print_stdout, reason = "it is a command line")]
impl CommandLine {
    /// The layer does all there is to do about tokens.
    async fn get(&self, path: &str) -> Result<Value, BoxError> {
        let request =
            Request::builder().method(Method::GET).uri(format!("{}{path}", self.server)).body(Full::default())?;
        let response = self.auth.layer().layer(self.http.clone()).oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK => Ok(serde_json::from_slice(&body)?),
            StatusCode::UNAUTHORIZED => Err("nobody is signed in: use login or register".into()),
            _ => Err(format!("the server answers {status}").into()),
        }
    }

    fn greet(&self, user: Value) {
        println!("{} at {}", user["email"].as_str().unwrap_or("somebody"), self.server);
    }

    fn list(&self, sessions: &Value) {
        for session in sessions.as_array().into_iter().flatten() {
            let text = |name: &str| session[name].as_str().unwrap_or("-").to_owned();
            let here = if session["current"] == true { "*" } else { " " };
            println!("{here} {} {} {}", text("id"), text("last_used_at"), text("user_agent"));
        }
    }
}
