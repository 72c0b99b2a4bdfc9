//! The one table of endpoints, which routing, `Allow` and the `OpenAPI` document are read from.

use http::{HeaderValue, Method};

/// One of the ready endpoints, to be moved with [`AuthBuilder::endpoint_path`](crate::AuthBuilder::endpoint_path) or switched off
/// with [`AuthBuilder::without_endpoint`](crate::AuthBuilder::without_endpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `POST /register`
    Register,
    /// `POST /login`
    Login,
    /// `POST /refresh`
    Refresh,
    /// `POST /logout`
    Logout,
    /// `POST /logout-all`
    LogoutAll,
    /// `GET /me`
    Me,
    /// `GET /sessions`
    Sessions,
    /// `DELETE /sessions/{id}`
    EndSession,
    /// `PUT /password`
    ChangePassword,
    /// `GET /.well-known/jwks.json`
    Jwks,
    /// `GET /openapi.json` (feature `openapi`)
    #[cfg(feature = "openapi")]
    OpenApi,
}

impl Endpoint {
    const ALL: &[Self] = &[
        Self::Register,
        Self::Login,
        Self::Refresh,
        Self::Logout,
        Self::LogoutAll,
        Self::Me,
        Self::Sessions,
        Self::EndSession,
        Self::ChangePassword,
        Self::Jwks,
        #[cfg(feature = "openapi")]
        Self::OpenApi,
    ];

    const fn method(self) -> Method {
        match self {
            Self::Register | Self::Login | Self::Refresh | Self::Logout | Self::LogoutAll => Method::POST,
            Self::Me | Self::Sessions | Self::Jwks => Method::GET,
            #[cfg(feature = "openapi")]
            Self::OpenApi => Method::GET,
            Self::EndSession => Method::DELETE,
            Self::ChangePassword => Method::PUT,
        }
    }

    /// Below the mount path; `{id}` stands for one segment.
    const fn usual_path(self) -> &'static str {
        match self {
            Self::Register => "/register",
            Self::Login => "/login",
            Self::Refresh => "/refresh",
            Self::Logout => "/logout",
            Self::LogoutAll => "/logout-all",
            Self::Me => "/me",
            Self::Sessions => "/sessions",
            Self::EndSession => "/sessions/{id}",
            Self::ChangePassword => "/password",
            Self::Jwks => "/.well-known/jwks.json",
            #[cfg(feature = "openapi")]
            Self::OpenApi => "/openapi.json",
        }
    }
}

/// The endpoints that are mounted, and where.
#[derive(Debug)]
pub(crate) struct Table {
    mount_path: String,
    /// Those with an `{id}` come last: a literal path wins.
    resources: Vec<Resource>,
}

/// A path and what its methods do.
#[derive(Debug)]
pub(crate) struct Resource {
    path: String,
    allow: HeaderValue,
    methods: Vec<(Method, Endpoint)>,
}

/// What an app changes about the endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) paths: Vec<(Endpoint, String)>,
    pub(crate) without: Vec<Endpoint>,
    /// Second names, which give way to any other endpoint's path.
    pub(crate) aliases: Vec<(Endpoint, &'static str)>,
}

impl Table {
    /// The table with these changes, and sentences that say what cannot be.
    pub(crate) fn new(mount_path: &str, changes: &Changes) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut table = Self { mount_path: self::mount_path(mount_path, &mut problems), resources: Vec::new() };
        for (at, (endpoint, path)) in changes.paths.iter().enumerate() {
            if changes.without.contains(endpoint) {
                problems.push(format!("{endpoint:?} has a path and is switched off: drop one of them"));
            }
            if changes.paths.iter().take(at).any(|(other, _)| other == endpoint) {
                problems.push(format!("{endpoint:?} is given a path twice: drop {path:?} or the other"));
            }
        }
        for endpoint in Endpoint::ALL.iter().copied().filter(|endpoint| !changes.without.contains(endpoint)) {
            let own = changes.paths.iter().find(|(moved, _)| *moved == endpoint);
            let path = own.map_or(endpoint.usual_path(), |(_, path)| path);
            problems.extend(path_problem(endpoint, path));
            if let Some(other) = table.add(endpoint, path) {
                problems.push(format!("{endpoint:?} and {other:?} both have the path {path:?}: move one of them"));
            }
        }
        for (endpoint, path) in changes.aliases.iter().filter(|(endpoint, _)| !changes.without.contains(endpoint)) {
            table.add(*endpoint, path);
        }
        table.resources.sort_by_key(|resource| resource.path.ends_with("{id}"));
        (table, problems)
    }

    /// Mounts an endpoint, unless another one is there, which is the answer then.
    fn add(&mut self, endpoint: Endpoint, path: &str) -> Option<Endpoint> {
        let method = endpoint.method();
        let methods = match self.resources.iter_mut().find(|resource| resource.path == path) {
            Some(resource) => {
                if let Some((_, other)) = resource.methods.iter().find(|(taken, _)| *taken == method) {
                    return Some(*other);
                }
                resource.methods.push((method, endpoint));
                resource.methods.clone()
            }
            None => vec![(method, endpoint)],
        };
        let allow = allow(&methods);
        self.resources.retain(|resource| resource.path != path);
        self.resources.push(Resource { path: path.to_owned(), allow, methods });
        None
    }

    /// A path such as `/auth`, without a slash at its end; the root is the empty path.
    pub(crate) fn mount_path(&self) -> &str {
        &self.mount_path
    }

    /// Every path below the mount path.
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Finds the resource of a full path, and what its `{id}` is.
    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<(&Resource, &'a str)> {
        let rest = path.strip_prefix(self.mount_path.as_str())?;
        self.resources.iter().find_map(|resource| match resource.path.strip_suffix("{id}") {
            None => (resource.path == rest).then_some((resource, "")),
            Some(prefix) => {
                let id = rest.strip_prefix(prefix).filter(|id| !id.is_empty() && !id.contains('/'))?;
                Some((resource, id))
            }
        })
    }
}

impl Resource {
    pub(crate) fn endpoint(&self, method: &Method) -> Option<Endpoint> {
        self.methods.iter().find(|(own, _)| own == method).map(|(_, endpoint)| *endpoint)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn methods(&self) -> &[(Method, Endpoint)] {
        &self.methods
    }

    /// The methods that it has, as a 405 says them.
    pub(crate) fn allow(&self) -> &HeaderValue {
        &self.allow
    }
}

fn allow(methods: &[(Method, Endpoint)]) -> HeaderValue {
    let mut names: Vec<&str> = Vec::new();
    for (method, _) in methods {
        names.push(method.as_str());
        names.extend((*method == Method::GET).then_some("HEAD"));
    }
    names.push("OPTIONS");
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

fn mount_path(path: &str, problems: &mut Vec<String>) -> String {
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    if !(trimmed.is_empty() || is_plain_path(trimmed)) {
        problems.push(format!("the mount path {path:?} is not a plain path: use one such as \"/auth\""));
    }
    trimmed.to_owned()
}

fn path_problem(endpoint: Endpoint, path: &str) -> Option<String> {
    // A session is named by the last segment, and nothing else is.
    let (plain, mend) = if endpoint == Endpoint::EndSession {
        (path.strip_suffix("/{id}").unwrap_or("{id}"), "/devices/{id}")
    } else {
        (path, "/sign-in")
    };
    let wrong = !is_plain_path(plain) || plain.ends_with('/');
    wrong.then(|| format!("the path {path:?} of {endpoint:?} is not a plain path: use one such as {mend:?}"))
}

/// Segments that no client and no proxy rewrites.
fn is_plain_path(path: &str) -> bool {
    let segments = path.strip_prefix('/').map(|rest| rest.split('/'));
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    segments.is_some_and(|mut segments| {
        segments.all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(mount_path: &str, paths: &[(Endpoint, &str)], without: &[Endpoint]) -> (Table, Vec<String>) {
        let paths = paths.iter().map(|(endpoint, path)| (*endpoint, (*path).to_owned())).collect();
        let aliases = vec![(Endpoint::Refresh, "/refresh-token")];
        Table::new(mount_path, &Changes { paths, without: without.to_vec(), aliases })
    }

    fn usual(mount_path: &str) -> Table {
        Table::new(mount_path, &Changes::default()).0
    }

    fn endpoint(table: &Table, method: &Method, path: &str) -> Option<Endpoint> {
        table.find(path).and_then(|(resource, _)| resource.endpoint(method))
    }

    #[test]
    fn full_paths_match_exactly() {
        let table = usual("/auth/");
        assert_eq!(endpoint(&table, &Method::POST, "/auth/login"), Some(Endpoint::Login));
        for path in
            ["/login", "/auth/login/", "/auth//login", "/auth/Login", "/authlogin", "/auth", "/auth/", "/x/auth/login"]
        {
            assert!(table.find(path).is_none(), "{path}");
        }
        assert!(table.find("/auth/login").is_some_and(|(resource, _)| resource.endpoint(&Method::GET).is_none()));
    }

    #[test]
    fn an_id_is_one_segment() {
        let table = usual("/auth");
        assert_eq!(table.find("/auth/sessions/abc").map(|(_, id)| id), Some("abc"));
        assert_eq!(endpoint(&table, &Method::DELETE, "/auth/sessions/abc"), Some(Endpoint::EndSession));
        for path in ["/auth/sessions/", "/auth/sessions/a/b"] {
            assert!(table.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn at_the_root_the_mount_path_is_empty() {
        assert!(usual("/").find("/login").is_some());
    }

    #[test]
    fn endpoints_are_moved_share_a_path_and_are_switched_off() {
        let paths =
            [(Endpoint::Logout, "/session"), (Endpoint::Me, "/session"), (Endpoint::EndSession, "/session/{id}")];
        let (table, problems) = table("/auth", &paths, &[Endpoint::Register]);
        assert_eq!(problems, Vec::<String>::new());
        let (resource, _) = table.find("/auth/session").unwrap();
        assert_eq!(resource.endpoint(&Method::POST), Some(Endpoint::Logout));
        assert_eq!(resource.endpoint(&Method::GET), Some(Endpoint::Me));
        assert_eq!(resource.allow(), "POST, GET, HEAD, OPTIONS");
        assert_eq!(table.find("/auth/session/a").map(|(_, id)| id), Some("a"));
        for gone in ["/auth/register", "/auth/logout", "/auth/me", "/auth/sessions/a"] {
            assert!(table.find(gone).is_none(), "{gone}");
        }
        assert_eq!(endpoint(&table, &Method::POST, "/auth/refresh-token"), Some(Endpoint::Refresh));
    }

    #[test]
    fn an_alias_gives_way_and_goes_with_its_endpoint() {
        let (taken, problems) = table("/auth", &[(Endpoint::Logout, "/refresh-token")], &[]);
        assert_eq!(endpoint(&taken, &Method::POST, "/auth/refresh-token"), Some(Endpoint::Logout));
        assert!(problems.is_empty());
        let (gone, _) = table("/auth", &[], &[Endpoint::Refresh]);
        assert!(gone.find("/auth/refresh-token").is_none());
    }

    #[test]
    fn paths_that_cannot_be_are_refused_with_their_mend() {
        for (path, mend) in [
            ("login", "plain path"),
            ("", "plain path"),
            ("/", "plain path"),
            ("/a//b", "plain path"),
            ("/a/", "plain path"),
            ("/a/../b", "plain path"),
            ("/a?b", "plain path"),
            ("/{name}", "plain path"),
            ("/\u{e4}", "plain path"),
            ("/register", "both have the path"),
        ] {
            let (_, problems) = table("/auth", &[(Endpoint::Login, path)], &[]);
            assert!(problems.len() == 1 && problems[0].contains(mend), "{path:?}: {problems:?}");
        }
        for path in ["/sessions", "/{id}/x", "{id}", "/a{id}", "/{id}/{id}"] {
            let (_, problems) = table("/auth", &[(Endpoint::EndSession, path)], &[]);
            assert!(problems.len() == 1 && problems[0].contains("plain path"), "{path:?}: {problems:?}");
        }
        assert_eq!(table("/auth", &[(Endpoint::Me, "/x")], &[Endpoint::Me]).1.len(), 1);
    }
}
