//! The commands of a client program. Each is a process of its own, and reads the session that the
//! last one stored.

use std::{env, io, path::PathBuf};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use portcullis::{
    Secret,
    client::{ClientAuth, ServerUser},
};
use serde::{Deserialize, de::DeserializeOwned};
use tower::{Layer, ServiceExt};

use crate::{state_file::StateFile, support::BoxError};

const USAGE: &str = "usage: spa_and_native [--server URL] [--state PATH] COMMAND
  serve             the service, at ADDR
  register EMAIL    a new user; the password is PASSWORD, or the first line of the standard input
  login EMAIL       likewise
  whoami            who is logged in
  sessions          where else
  logout            nowhere but there
URL is http and on this machine: a program of yours takes a connector with TLS, such as hyper-rustls";

type Http = Client<HttpConnector, Full<Bytes>>;

struct CommandLine {
    server: String,
    auth: ClientAuth,
    http: Http,
}

#[derive(Deserialize)]
struct Me {
    user: Profile,
}

#[derive(Deserialize)]
struct Profile {
    email: String,
}

#[derive(Deserialize)]
struct Sessions {
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
struct Session {
    id: String,
    last_used_at: String,
    user_agent: Option<String>,
    current: bool,
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
    let done = this.obey(&words).await;
    // A refresh may outlive its request. Its tokens have to be stored.
    this.auth.settled().await;
    done
}

/// Returns the directory for the state of programs.
fn default_state() -> Result<PathBuf, BoxError> {
    let directory = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || env::home_dir().map(|home| home.join(".local/state"));
    let directory = directory.or_else(home).ok_or("there is no home directory: use --state PATH")?;
    Ok(directory.join("portcullis-example").join("session"))
}

/// Reads the password. It is no argument, because other users of the machine can read arguments.
fn password() -> Result<Secret<String>, BoxError> {
    if let Ok(password) = env::var("PASSWORD") {
        return Ok(password.into());
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

impl CommandLine {
    async fn obey(&self, words: &[&str]) -> Result<(), BoxError> {
        match *words {
            ["register", email] => self.welcome(&self.auth.register(email, password()?, ()).await?)?,
            ["login", email] => self.welcome(&self.auth.login(email, password()?).await?)?,
            ["whoami"] => self.greet(&self.get::<Me>("/auth/me").await?.user),
            ["sessions"] => list(&self.get::<Sessions>("/auth/sessions").await?),
            ["logout"] => self.auth.logout().await?,
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }

    /// Sends a request. The layer attaches and refreshes the tokens.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, BoxError> {
        let request = Request::get(format!("{}{path}", self.server)).body(Full::default())?;
        let response = self.auth.layer().layer(self.http.clone()).oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK => Ok(serde_json::from_slice(&body)?),
            StatusCode::UNAUTHORIZED => Err("nobody is logged in: use login or register".into()),
            _ => Err(format!("the server answers {status}").into()),
        }
    }

    fn welcome(&self, user: &ServerUser) -> Result<(), BoxError> {
        self.greet(&user.fields()?);
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "it is a command line")]
    fn greet(&self, user: &Profile) {
        println!("{} at {}", user.email, self.server);
    }
}

#[expect(clippy::print_stdout, reason = "it is a command line")]
fn list(list: &Sessions) {
    for session in &list.sessions {
        let here = if session.current { "*" } else { " " };
        let device = session.user_agent.as_deref().unwrap_or("-");
        println!("{here} {} {} {device}", session.id, session.last_used_at);
    }
}
