//! Settings from environment variables.

use std::{path::Path, time::Duration};

use super::{AuthBuilder, settings::Settings};
use crate::{
    auth::Auth,
    error::Error,
    http::{Delivery, ResponseFormat},
    random,
    secret::Secret,
    store::{SessionStore, UserStore},
    token::keys::{Key, KeyRing},
    user::AuthUser,
};
use zeroize::Zeroizing;

impl<U: AuthUser> AuthBuilder<U> {
    /// Begins with what the environment says.
    ///
    /// | variable | default | meaning |
    /// |---|---|---|
    /// | `ACCESS_TOKEN_SECRET`, `REFRESH_TOKEN_SECRET` | required | 32 bytes or more, different |
    /// | `ACCESS_TOKEN_KEY_FILE` | none | in place of `ACCESS_TOKEN_SECRET`: a private key (PEM or JWK; Ed25519, P-256, RSA), whose algorithm follows from it |
    /// | `ACCESS_TOKEN_NEXT_KEY_FILE` | none | the key that will follow it: [published and verified](crate::keys) already |
    /// | `ACCESS_TOKEN_RETIRED_KEY_FILES` | none | still verify; separated by `:` |
    /// | `ACCESS_TOKEN_RETIRED_SECRETS`, `REFRESH_TOKEN_RETIRED_SECRETS` | none | still verify; separated by `,` |
    /// | `TOKEN_ISSUER` | required | `iss` |
    /// | `TOKEN_AUDIENCE` | the issuer | `aud` |
    /// | `ACCESS_TOKEN_EXPIRY`, `REFRESH_TOKEN_EXPIRY`, `SESSION_MAX_AGE` | `15m`, `7d`, `30d` | access life; idle and absolute life of a session |
    /// | `REFRESH_TOKEN_GRACE` | `10s` | `0s` turns it off |
    /// | `REVOCATION_POLL` | `5s` | how often a node asks what others have ended |
    /// | `TOKEN_DELIVERY` | `cookie` | a list of `cookie`, `split`, `body`, `both`; the first is the default |
    /// | `RESPONSE_FORMAT` | `standard` | `envelope` for a front end of that shape: see [`ResponseFormat`] |
    /// | `INSECURE_COOKIES` | unset | `1` for plain HTTP |
    /// | `TRUSTED_ORIGINS` | none | separated by `,` |
    /// | `TRUSTED_PROXY_HOPS` | `0` | proxies of your own |
    /// | `THROTTLE` | `on` | `off` for load tests: guesses are not slowed |
    /// | `PASSWORD_PEPPER` | none | a secret in every password hash, 32 bytes or more |
    /// | `PASSWORD_RETIRED_PEPPERS` | none | still verify; separated by `,` |
    /// | `HASH_THREADS` | half the cores | passwords hashed at once |
    ///
    /// Durations are a number and `ms`, `s`, `m`, `h` or `d`. A variable that is set to nothing counts as not set. What is
    /// wrong is reported by [`build`](Self::build), with the variable's name.
    ///
    /// One line break (LF, CRLF or CR) at the end of a secret, the issuer or the audience is the file's that it came from,
    /// and is not counted. Other white space around these is refused, because another service that reads the same file
    /// may count it. Around the items of a list, and around all other values, white space does not matter.
    ///
    /// ```no_run
    /// use portcullis::{AuthBuilder, store::memory::MemoryStore};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let auth = AuthBuilder::from_env(store.clone(), store).build()?;
    /// # Ok(()) }
    /// ```
    pub fn from_env(users: impl UserStore<User = U>, sessions: impl SessionStore) -> Self {
        Self::from_env_with_prefix("", users, sessions)
    }

    /// Begins with what the environment says in variables whose names begin with `prefix`, such as `MYAPP_`.
    pub fn from_env_with_prefix(prefix: &str, users: impl UserStore<User = U>, sessions: impl SessionStore) -> Self {
        let mut builder = Auth::builder(users, sessions);
        let variables = |name: &str| std::env::var_os(format!("{prefix}{name}")).map(std::ffi::OsString::into_string);
        read(&mut builder.settings, prefix, &variables);
        builder
    }

    /// Begins with what the environment says, for examples and first steps: secrets that are missing are drawn, and
    /// every token ends with the process, which is said in the log; a missing issuer is `portcullis-example`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the operating system has no randomness.
    pub fn from_env_or_ephemeral(users: impl UserStore<User = U>, sessions: impl SessionStore) -> Result<Self, Error> {
        let mut builder = Self::from_env(users, sessions);
        let settings = &mut builder.settings;
        let has_key = settings.access_keys.is_some() || settings.unusable_key_file;
        for (name, secret, needed) in [
            ("ACCESS_TOKEN_SECRET", &mut settings.access_secret, !has_key),
            ("REFRESH_TOKEN_SECRET", &mut settings.refresh_secret, true),
        ] {
            if needed && secret.is_none() {
                tracing::warn!(target: "portcullis", "{name} is not set: a secret is drawn, and all tokens end with this process");
                *secret = Some(Secret::from(random::bytes::<32>()?));
            }
        }
        settings.issuer.get_or_insert_with(|| "portcullis-example".to_owned());
        Ok(builder)
    }
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<Result<String, std::ffi::OsString>>;

/// Reads variables one by one; the first problem of each is kept for `build()`.
struct Reader<'a> {
    prefix: &'a str,
    variables: Variables<'a>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> Option<String> {
        if let Ok(text) = (self.variables)(name)? {
            return Some(text).filter(|text| !bare(text).is_empty());
        }
        self.problems.push(format!("{}{name} is not UTF-8", self.prefix));
        None
    }

    fn parsed<T>(&mut self, name: &str, mend: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(bare(&text));
        if parsed.is_none() {
            self.problems.push(format!("{}{name} is {text:?}: {mend}", self.prefix));
        }
        parsed
    }

    fn duration(&mut self, name: &str, into: &mut Duration) {
        if let Some(duration) = self.parsed(name, "use a number and ms, s, m, h or d, such as 15m", parse_duration) {
            *into = duration;
        }
    }

    /// A text that counts to the last byte, without the line break of the file that it came from.
    fn exact(&mut self, name: &str) -> Option<String> {
        let mut text = self.text(name)?;
        let ends = [text.strip_suffix("\r\n"), text.strip_suffix('\n'), text.strip_suffix('\r')];
        let end = ends.into_iter().flatten().next().map_or(text.len(), str::len);
        text.truncate(end);
        if bare(&text).len() < text.len() {
            // The value is not repeated: it may be a secret.
            self.problems.push(format!(
                "{}{name} begins or ends with white space or a byte order mark: remove it where the variable is set",
                self.prefix
            ));
        }
        Some(text)
    }

    fn secret(&mut self, name: &str) -> Option<Secret<Vec<u8>>> {
        self.exact(name).map(Secret::from)
    }

    fn secrets(&mut self, name: &str) -> Vec<Secret<Vec<u8>>> {
        let list = self.text(name).map(Zeroizing::new).unwrap_or_default();
        items(&list).map(Secret::from).collect()
    }

    fn key_files(&mut self, name: &str, paths: impl FnOnce(&str) -> Vec<&str>) -> Vec<Key> {
        let list = self.text(name).unwrap_or_default();
        let paths = paths(&list).into_iter().map(bare).filter(|path| !path.is_empty());
        let mut keys = Vec::new();
        for (at, path) in paths.enumerate() {
            match Key::from_unnamed_file(Path::new(path)) {
                Ok(key) => keys.push(key),
                // The value is not repeated: somebody may have pasted the key itself.
                Err(error) => self.problems.push(format!("{}{name}, path {}: {error}", self.prefix, at + 1)),
            }
        }
        keys
    }
}

fn read(settings: &mut Settings, prefix: &str, variables: Variables<'_>) {
    let mut reader = Reader { prefix, variables, problems: Vec::new() };
    settings.access_secret = reader.secret("ACCESS_TOKEN_SECRET");
    settings.refresh_secret = reader.secret("REFRESH_TOKEN_SECRET");
    settings.retired_access_secrets = reader.secrets("ACCESS_TOKEN_RETIRED_SECRETS");
    settings.retired_refresh_secrets = reader.secrets("REFRESH_TOKEN_RETIRED_SECRETS");
    settings.pepper = reader.secret("PASSWORD_PEPPER");
    settings.retired_peppers = reader.secrets("PASSWORD_RETIRED_PEPPERS");
    settings.issuer = reader.exact("TOKEN_ISSUER");
    settings.audience = reader.exact("TOKEN_AUDIENCE");
    reader.duration("ACCESS_TOKEN_EXPIRY", &mut settings.access_lifetime);
    reader.duration("REFRESH_TOKEN_EXPIRY", &mut settings.refresh_lifetime);
    reader.duration("SESSION_MAX_AGE", &mut settings.session_max_age);
    reader.duration("REFRESH_TOKEN_GRACE", &mut settings.refresh_grace);
    reader.duration("REVOCATION_POLL", &mut settings.revocation_poll);
    let delivery = "use a list of cookie, split, body and both, such as cookie,body";
    if let Some(list) = reader.parsed("TOKEN_DELIVERY", delivery, |text| items(text).map(Delivery::parse).collect()) {
        settings.deliveries = list;
    }
    let switch = "use 1, or leave it unset";
    settings.cookies.insecure = reader.parsed("INSECURE_COOKIES", switch, parse_switch).unwrap_or(false);
    settings.trusted_origins =
        reader.text("TRUSTED_ORIGINS").map_or_else(Vec::new, |text| items(&text).map(Into::into).collect());
    let number = "use a number";
    settings.trusted_proxy_hops = reader.parsed("TRUSTED_PROXY_HOPS", number, |text| text.parse().ok()).unwrap_or(0);
    let on_or_off = "use on, or off for load tests";
    settings.throttle = reader.parsed("THROTTLE", on_or_off, parse_switch).unwrap_or(true);
    settings.hash_threads = reader.parsed("HASH_THREADS", number, |text| text.parse().ok());
    read_key_files(settings, &mut reader);
    let format = reader.parsed("RESPONSE_FORMAT", "use standard or envelope", |text| match text {
        "standard" => Some(ResponseFormat::Standard),
        "envelope" => Some(ResponseFormat::Envelope),
        _ => None,
    });
    settings.responder.format = format.unwrap_or_default();
    settings.problems = reader.problems;
}

/// The key files: the next and retired ones may stand beside a secret as well, on the way to keys and back.
fn read_key_files(settings: &mut Settings, reader: &mut Reader<'_>) {
    let before = reader.problems.len();
    let current = reader.key_files("ACCESS_TOKEN_KEY_FILE", |path| vec![path]);
    settings.unusable_key_file = reader.problems.len() > before;
    settings.access_keys = current.into_iter().next().map(KeyRing::new);
    settings.next_access_key = reader.key_files("ACCESS_TOKEN_NEXT_KEY_FILE", |path| vec![path]).pop();
    settings.retired_access_keys = reader.key_files("ACCESS_TOKEN_RETIRED_KEY_FILES", |list| list.split(':').collect());
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(bare).filter(|item| !item.is_empty())
}

/// A text without the white space around it, and without the byte order mark that editors on Windows put before it.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "on" => Some(true),
        "0" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number and its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        read(&mut settings, "APP_", &|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| Ok(pair.1.to_owned())));
        settings
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        for bad in ["", "15", "m", "-1s", "1.5h", "15 minutes", "99999999999999999999d", "213503982335d", "１m"] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn variables_reach_their_settings() {
        let settings = settings(&[
            ("ACCESS_TOKEN_EXPIRY", "5m"),
            ("TOKEN_DELIVERY", "cookie, body"),
            ("INSECURE_COOKIES", "1"),
            ("TRUSTED_ORIGINS", "https://a.example, https://b.example"),
            ("PASSWORD_PEPPER", "pepper"),
            ("PASSWORD_RETIRED_PEPPERS", "older,oldest"),
            ("THROTTLE", "off"),
            ("RESPONSE_FORMAT", "envelope"),
            ("HASH_THREADS", "3"),
            ("ACCESS_TOKEN_RETIRED_SECRETS", "one,two"),
            ("TOKEN_AUDIENCE", ""),
        ]);
        assert_eq!(settings.access_lifetime, Duration::from_secs(300));
        assert_eq!(settings.deliveries, [Delivery::Cookie, Delivery::Body]);
        assert!(settings.cookies.insecure);
        assert_eq!(settings.trusted_origins, ["https://a.example", "https://b.example"]);
        assert!(settings.pepper.is_some());
        assert_eq!(settings.retired_peppers.len(), 2);
        assert!(!settings.throttle);
        assert_eq!(settings.responder.format, ResponseFormat::Envelope);
        assert_eq!(settings.hash_threads, Some(3));
        assert_eq!(settings.retired_access_secrets.len(), 2);
        assert_eq!(settings.audience, None);
        assert!(settings.problems.is_empty());
    }

    #[test]
    fn key_files_make_a_ring_and_are_named_where_they_do_not() {
        const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
        let file = |name: &str| format!("{DIR}/{name}.pem");
        let retired = format!("{}:{}", file("p256"), file("rsa2048.pub"));
        let good = settings(&[
            ("ACCESS_TOKEN_KEY_FILE", &file("ed25519")),
            ("ACCESS_TOKEN_NEXT_KEY_FILE", &file("ed25519-next")),
            ("ACCESS_TOKEN_RETIRED_KEY_FILES", &retired),
        ]);
        assert_eq!(good.problems, Vec::<String>::new());
        assert!(good.access_keys.is_some() && good.next_access_key.is_some());
        assert_eq!(good.retired_access_keys.len(), 2);

        let bad = settings(&[
            ("ACCESS_TOKEN_KEY_FILE", &file("refused-rsa1024")),
            ("ACCESS_TOKEN_RETIRED_KEY_FILES", "-----BEGIN PRIVATE KEY-----canary"),
        ]);
        assert!(bad.unusable_key_file);
        for (problem, words) in bad.problems.iter().zip(["1024 bits", "cannot be read"]) {
            assert!(
                problem.starts_with("APP_ACCESS_TOKEN_") && problem.contains(words) && !problem.contains("canary"),
                "{problem}"
            );
        }
        assert_eq!(bad.problems.len(), 2);
    }

    fn bytes(secret: Option<&Secret<Vec<u8>>>) -> Option<&[u8]> {
        secret.map(|secret| secret.expose().as_slice())
    }

    #[test]
    fn one_line_break_at_the_end_of_a_secret_is_not_counted() {
        for end in ["", "\n", "\r\n", "\r"] {
            let with = |text: &str| format!("{text}{end}");
            let settings = settings(&[
                ("ACCESS_TOKEN_SECRET", &with("an access secret")),
                ("REFRESH_TOKEN_SECRET", &with("a refresh secret")),
                ("PASSWORD_PEPPER", &with("a pepper")),
                ("TOKEN_ISSUER", &with("https://example.com")),
                ("TOKEN_AUDIENCE", &with("https://api.example.com")),
                ("ACCESS_TOKEN_RETIRED_SECRETS", &with("one, two\t,\n three")),
                ("TRUSTED_ORIGINS", &with("https://a.example ,\thttps://b.example")),
                ("TOKEN_DELIVERY", &with("cookie, body")),
                ("ACCESS_TOKEN_EXPIRY", &with(" 5m")),
            ]);
            assert_eq!(bytes(settings.access_secret.as_ref()), Some(&b"an access secret"[..]), "{end:?}");
            assert_eq!(bytes(settings.refresh_secret.as_ref()), Some(&b"a refresh secret"[..]), "{end:?}");
            assert_eq!(bytes(settings.pepper.as_ref()), Some(&b"a pepper"[..]), "{end:?}");
            assert_eq!(settings.issuer.as_deref(), Some("https://example.com"), "{end:?}");
            assert_eq!(settings.audience.as_deref(), Some("https://api.example.com"), "{end:?}");
            let retired: Vec<_> =
                settings.retired_access_secrets.iter().map(|secret| secret.expose().clone()).collect();
            assert_eq!(retired, [&b"one"[..], b"two", b"three"], "{end:?}");
            assert_eq!(settings.trusted_origins, ["https://a.example", "https://b.example"], "{end:?}");
            assert_eq!(settings.deliveries, [Delivery::Cookie, Delivery::Body], "{end:?}");
            assert_eq!(settings.access_lifetime, Duration::from_secs(300), "{end:?}");
            assert!(settings.problems.is_empty(), "{:?}", settings.problems);
        }
    }

    #[test]
    fn other_white_space_around_a_secret_is_refused() {
        const NAMES: [&str; 5] =
            ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET", "PASSWORD_PEPPER", "TOKEN_ISSUER", "TOKEN_AUDIENCE"];
        for value in
            [" canary", "canary ", "canary\t", "canary\n\n", "canary \n", "\ncanary", "canary\u{a0}", "\u{feff}canary"]
        {
            for name in NAMES {
                let problems = settings(&[(name, value)]).problems;
                assert!(
                    matches!(problems.as_slice(), [problem] if problem.starts_with(&format!("APP_{name} ")) && problem.contains("remove")),
                    "{problems:?}"
                );
                assert!(!problems.concat().contains("canary"), "{problems:?}");
            }
        }
        for blank in [" ", "\n", "\r\n", "\u{feff}"] {
            for name in NAMES {
                let settings = settings(&[(name, blank)]);
                assert!(settings.problems.is_empty() && settings.access_secret.is_none(), "{name} {blank:?}");
            }
        }
    }

    #[test]
    fn nonsense_names_its_variable_and_the_mend() {
        let settings = settings(&[
            ("ACCESS_TOKEN_EXPIRY", "soon"),
            ("TOKEN_DELIVERY", "pigeon"),
            ("INSECURE_COOKIES", "maybe"),
            ("TRUSTED_PROXY_HOPS", "-1"),
            ("THROTTLE", "gently"),
            ("RESPONSE_FORMAT", "xml"),
        ]);
        for name in [
            "APP_ACCESS_TOKEN_EXPIRY",
            "APP_TOKEN_DELIVERY",
            "APP_INSECURE_COOKIES",
            "APP_TRUSTED_PROXY_HOPS",
            "APP_THROTTLE",
            "APP_RESPONSE_FORMAT",
        ] {
            assert!(settings.problems.iter().any(|p| p.starts_with(name) && p.contains("use")), "{name}");
        }
        assert_eq!(settings.problems.len(), 6);
    }
}
