//! The table of paths and their endpoints. Routing, the header `Allow` and the `OpenAPI` document
//! read it.

use http::{HeaderValue, Method};

use super::endpoint::{Endpoint, EndpointSpec};

/// The endpoints that are mounted, by path.
#[derive(Debug)]
pub(crate) struct PathTable {
    mount_path: String,
    /// Paths with a parameter come last, because a literal path takes precedence.
    resources: Vec<Resource>,
}

/// One path below the mount path, with the endpoint of each of its methods.
#[derive(Debug)]
pub(crate) struct Resource {
    path: String,
    allow: HeaderValue,
    methods: Vec<(Method, &'static EndpointSpec)>,
}

/// The app's changes to the endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointChanges {
    pub(crate) paths: Vec<(Endpoint, String)>,
    pub(crate) without: Vec<Endpoint>,
    /// Second paths of endpoints. A second path that another endpoint already has is left out.
    pub(crate) aliases: Vec<(Endpoint, &'static str)>,
}

impl PathTable {
    /// Mounts the endpoints with the app's changes. Returns the table, and a sentence for each
    /// problem.
    pub(crate) fn new(
        mount_path: &str,
        specs: impl IntoIterator<Item = &'static EndpointSpec>,
        changes: &EndpointChanges,
    ) -> (Self, Vec<String>) {
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
        let specs = specs.into_iter().filter(|spec| !changes.without.contains(&spec.endpoint));
        let specs: Vec<&'static EndpointSpec> = specs.collect();
        for spec in &specs {
            let endpoint = spec.endpoint;
            let own = changes.paths.iter().find(|(moved, _)| *moved == endpoint);
            let path = own.map_or(spec.path, |(_, path)| path);
            problems.extend(path_problem(spec, path));
            if let Some(other) = table.add(spec, path) {
                problems.push(format!("{endpoint:?} and {other:?} both have the path {path:?}: move one of them"));
            }
        }
        for (endpoint, path) in &changes.aliases {
            if let Some(spec) = specs.iter().find(|spec| spec.endpoint == *endpoint) {
                table.add(spec, path);
            }
        }
        table.resources.sort_by_key(|resource| resource.parameter().is_some());
        (table, problems)
    }

    /// Mounts an endpoint. If another endpoint has the path and one of the methods already, mounts
    /// nothing and returns that endpoint.
    fn add(&mut self, spec: &'static EndpointSpec, path: &str) -> Option<Endpoint> {
        let at = self.resources.iter().position(|resource| resource.path == path);
        let mut methods = at.and_then(|at| self.resources.get(at)).map_or_else(Vec::new, |it| it.methods.clone());
        if let Some((_, other)) = methods.iter().find(|(taken, _)| spec.methods.contains(taken)) {
            return Some(other.endpoint);
        }
        methods.extend(spec.methods.iter().map(|method| (method.clone(), spec)));
        self.resources.retain(|resource| resource.path != path);
        self.resources.push(Resource { path: path.to_owned(), allow: allow(&methods), methods });
        None
    }

    /// Returns the mount path, such as `/auth`, without a slash at its end. The root is the empty
    /// path.
    pub(crate) fn mount_path(&self) -> &str {
        &self.mount_path
    }

    /// Returns the resource of every path below the mount path.
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Finds the resource of a full path, and the segment in the place of its parameter. The
    /// segment is empty if the path has no parameter.
    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<(&Resource, &'a str)> {
        let below = path.strip_prefix(self.mount_path.as_str())?;
        self.resources.iter().find_map(|resource| match split(&resource.path) {
            None => (resource.path == below).then_some((resource, "")),
            Some((before, _, after)) => {
                let segment = below.strip_prefix(before)?.strip_suffix(after)?;
                (!segment.is_empty() && !segment.contains('/')).then_some((resource, segment))
            }
        })
    }
}

impl Resource {
    pub(crate) fn endpoint(&self, method: &Method) -> Option<&'static EndpointSpec> {
        self.methods.iter().find(|(own, _)| own == method).map(|(_, spec)| *spec)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the name of the path's parameter, without its braces.
    pub(crate) fn parameter(&self) -> Option<&str> {
        split(&self.path).map(|(_, name, _)| name)
    }

    pub(crate) fn methods(&self) -> &[(Method, &'static EndpointSpec)] {
        &self.methods
    }

    /// Returns the value of the header `Allow`.
    pub(crate) fn allow(&self) -> &HeaderValue {
        &self.allow
    }
}

/// Splits a path at its parameter. Returns the text before it, its name, and the text after it.
fn split(path: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = path.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

fn allow(methods: &[(Method, &'static EndpointSpec)]) -> HeaderValue {
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

/// Returns what is wrong with the path of an endpoint. The path has to end like the usual path,
/// from the parameter on.
fn path_problem(spec: &EndpointSpec, path: &str) -> Option<String> {
    let end = spec.path.find("/{").and_then(|at| spec.path.get(at..)).unwrap_or_default();
    let wrong = path.strip_suffix(end).is_none_or(|plain| !is_plain_path(plain) || plain.ends_with('/'));
    wrong.then(|| {
        let endpoint = spec.endpoint;
        format!("the path {path:?} of {endpoint:?} is not a plain path: use one such as \"/account{end}\"")
    })
}

/// Returns whether clients and proxies leave every segment of a path unchanged.
fn is_plain_path(path: &str) -> bool {
    let segments = path.strip_prefix('/').map(|rest| rest.split('/'));
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    segments.is_some_and(|mut segments| {
        segments.all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_byte))
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule},
        schema::SuccessSchema,
    };

    const fn spec(endpoint: Endpoint, methods: &'static [Method], path: &'static str) -> EndpointSpec {
        EndpointSpec {
            endpoint,
            methods,
            path,
            caller: Caller::Anyone,
            cross_site: CrossSiteRule::Unchecked,
            cookies: CookieEffect::None,
            status: StatusCode::OK,
            request: None,
            success: SuccessSchema::Nothing,
            failures: &[],
            operation_id: "",
            summary: "",
            message: "",
        }
    }

    static SPECS: [EndpointSpec; 8] = [
        spec(Endpoint::Register, &[Method::POST], "/register"),
        spec(Endpoint::Login, &[Method::POST], "/login"),
        spec(Endpoint::Refresh, &[Method::POST], "/refresh"),
        spec(Endpoint::Logout, &[Method::POST], "/logout"),
        spec(Endpoint::Me, &[Method::GET], "/me"),
        spec(Endpoint::EndSession, &[Method::DELETE], "/sessions/{id}"),
        // A path of this form is planned for the callback of a login provider.
        spec(Endpoint::Jwks, &[Method::GET, Method::POST], "/by/{provider}/callback"),
        spec(Endpoint::Sessions, &[Method::GET], "/by/{provider}"),
    ];

    fn table(mount_path: &str, paths: &[(Endpoint, &str)], without: &[Endpoint]) -> (PathTable, Vec<String>) {
        let paths = paths.iter().map(|(endpoint, path)| (*endpoint, (*path).to_owned())).collect();
        let aliases = vec![(Endpoint::Refresh, "/refresh-token")];
        PathTable::new(mount_path, &SPECS, &EndpointChanges { paths, without: without.to_vec(), aliases })
    }

    fn usual(mount_path: &str) -> PathTable {
        PathTable::new(mount_path, &SPECS, &EndpointChanges::default()).0
    }

    fn endpoint(table: &PathTable, method: &Method, path: &str) -> Option<Endpoint> {
        table.find(path).and_then(|(resource, _)| resource.endpoint(method)).map(|spec| spec.endpoint)
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
    fn a_parameter_may_be_in_the_middle_of_a_path() {
        let table = usual("/auth");
        for method in [Method::GET, Method::POST] {
            assert_eq!(endpoint(&table, &method, "/auth/by/google/callback"), Some(Endpoint::Jwks));
        }
        let (resource, provider) = table.find("/auth/by/google/callback").unwrap();
        assert_eq!((provider, resource.parameter()), ("google", Some("provider")));
        assert_eq!(resource.allow(), "GET, HEAD, POST, OPTIONS");
        assert_eq!(endpoint(&table, &Method::GET, "/auth/by/google"), Some(Endpoint::Sessions));
        for path in ["/auth/by//callback", "/auth/by/a/b/callback", "/auth/by/", "/auth/by/a/callbacks"] {
            assert!(table.find(path).is_none(), "{path}");
        }
        for (path, problems) in [("/from/{provider}/callback", 0), ("/from/{provider}", 1), ("/from/{id}/callback", 1)]
        {
            assert_eq!(self::table("/auth", &[(Endpoint::Jwks, path)], &[]).1.len(), problems, "{path}");
        }
    }

    #[test]
    fn at_the_root_the_mount_path_is_empty() {
        assert!(usual("/").find("/login").is_some());
    }

    #[test]
    fn endpoints_move_share_a_path_and_are_switched_off() {
        let paths =
            [(Endpoint::Logout, "/session"), (Endpoint::Me, "/session"), (Endpoint::EndSession, "/session/{id}")];
        let (table, problems) = table("/auth", &paths, &[Endpoint::Register]);
        assert_eq!(problems, Vec::<String>::new());
        let (resource, _) = table.find("/auth/session").unwrap();
        assert_eq!(resource.endpoint(&Method::POST).map(|spec| spec.endpoint), Some(Endpoint::Logout));
        assert_eq!(resource.endpoint(&Method::GET).map(|spec| spec.endpoint), Some(Endpoint::Me));
        assert_eq!(resource.allow(), "POST, GET, HEAD, OPTIONS");
        assert_eq!(table.find("/auth/session/a").map(|(_, id)| id), Some("a"));
        for gone in ["/auth/register", "/auth/logout", "/auth/me", "/auth/sessions/a"] {
            assert!(table.find(gone).is_none(), "{gone}");
        }
        assert_eq!(endpoint(&table, &Method::POST, "/auth/refresh-token"), Some(Endpoint::Refresh));
    }

    #[test]
    fn an_alias_yields_to_a_path_and_leaves_with_its_endpoint() {
        let (taken, problems) = table("/auth", &[(Endpoint::Logout, "/refresh-token")], &[]);
        assert_eq!(endpoint(&taken, &Method::POST, "/auth/refresh-token"), Some(Endpoint::Logout));
        assert!(problems.is_empty());
        let (gone, _) = table("/auth", &[], &[Endpoint::Refresh]);
        assert!(gone.find("/auth/refresh-token").is_none());
    }

    #[test]
    fn invalid_paths_are_refused_with_their_fix() {
        for (path, fix) in [
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
            assert!(problems.len() == 1 && problems[0].contains(fix), "{path:?}: {problems:?}");
        }
        for path in ["/sessions", "/{id}/x", "{id}", "/a{id}", "/{id}/{id}"] {
            let (_, problems) = table("/auth", &[(Endpoint::EndSession, path)], &[]);
            assert!(problems.len() == 1 && problems[0].contains("plain path"), "{path:?}: {problems:?}");
        }
        assert_eq!(table("/auth", &[(Endpoint::Me, "/x")], &[Endpoint::Me]).1.len(), 1);
    }
}
