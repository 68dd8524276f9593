//! Orders of wrappers that are known to be wrong.

use std::borrow::Cow;
use std::fmt;

use enfilade_core::{Description, IntoHandler};

use crate::lint;

/// Those that answer some requests by themselves.
const ANSWERING: &[&str] = &[
    "BodyLimit",
    "CatchPanic",
    "ConcurrencyLimit",
    "DebugErrors",
    "Maintenance",
    "NotFound",
    "RateLimit",
    "Timeout",
];

/// What is known, by the names of components: all of the first around any of the second.
const KNOWN: [(&[&str], &[&str], &str); 32] = [
    (
        &["ETag", "Conditional"],
        &["Compression"],
        "the tag is made of coded bytes, which are others for each client",
    ),
    (
        &["Range", "Ranges"],
        &["Compression"],
        "a range is cut out of coded bytes, which need not be the same the next time",
    ),
    (
        &["Compression"],
        &["AccessLog"],
        "the log counts the plain bytes and not those that are sent",
    ),
    (
        &["Compression"],
        &["Compression"],
        "both choose what is coded, so the settings of neither one hold",
    ),
    (
        &["AccessLog"],
        &["AccessLog"],
        "a request has two lines in the log",
    ),
    (
        ANSWERING,
        &["AccessLog"],
        "the log does not see what the outer one answers itself",
    ),
    (
        ANSWERING,
        &["RequestId"],
        "the answer that it gives by itself has no id",
    ),
    (
        &["ErrorPages"],
        &["DebugErrors"],
        "the page of the outer one, which says less, comes in the place of the inner one's",
    ),
    (
        &["NotFound"],
        &["Compression"],
        "the pages of the fallback are not coded",
    ),
    (
        &["NotFound"],
        &["Headers"],
        "the pages of the fallback lack the headers",
    ),
    (
        &["AccessLog"],
        &["Forwarded", "ProxyFix"],
        "the log takes the proxy for the client",
    ),
    (
        ANSWERING,
        &["Metrics"],
        "what the outer one answers itself is not counted",
    ),
    (
        &["Compression"],
        &["Metrics"],
        "the plain bytes are counted and not those that are sent",
    ),
    (&["Metrics"], &["Metrics"], "a request is counted twice"),
    (
        ANSWERING,
        &["Trace"],
        "what the outer one answers itself is not in the span",
    ),
    (
        &["Trace"],
        &["Forwarded", "ProxyFix"],
        "the span takes the proxy for the client",
    ),
    (
        &["Trace"],
        &["Trace"],
        "a request has two spans of a server",
    ),
    (
        &["CanonicalHost", "TrustedHosts"],
        &["Forwarded", "ProxyFix"],
        "the host that is looked at is not the one that the proxy names",
    ),
    (
        &["HttpsRedirect"],
        &["Forwarded", "ProxyFix"],
        "behind a proxy that ends TLS every request is sent where it came from",
    ),
    (
        &["ProxyFix"],
        &["ProxyFix"],
        "the outer one leaves no header to the inner one",
    ),
    (
        &["RateLimit"],
        &["Forwarded", "ProxyFix"],
        "all clients behind a proxy are limited as one",
    ),
    (
        ANSWERING,
        &["Cors"],
        "pages of other origins cannot read what the outer one answers itself, a preflight's answer neither",
    ),
    (
        &["Auth", "BasicAuth", "BearerAuth", "DigestAuth"],
        &["Cors"],
        "a preflight request has no credentials, and is refused before it is answered",
    ),
    (
        &["BodyLimit"],
        &["Decompression"],
        "the limit counts coded bytes, and a short request may become a long one behind it",
    ),
    (
        &["Timeout"],
        &["EventStream", "ServerSentEvents", "WebSocket"],
        "what is meant to stay open is broken off when the time is over",
    ),
    (
        &["HttpsRedirect"],
        &["TrustedHosts"],
        "the redirect leads to whatever host a client names",
    ),
    (
        ANSWERING,
        &["SecurityHeaders"],
        "what the outer one answers itself lacks the headers",
    ),
    (
        &["ErrorPages"],
        &["Compression"],
        "the pages of errors are not coded",
    ),
    (
        &["ContentType"],
        &["Compression"],
        "the type is not known yet when it is decided what is coded",
    ),
    (
        &["SendFile"],
        &["Compression", "Inspect", "Trace"],
        "the inner one makes streams of the files, which the web server cannot send by itself",
    ),
    (
        &["AccessLog", "Trace"],
        &["Sensitive"],
        "the headers of requests are shown before they are marked",
    ),
    (
        &["Maintenance"],
        &["Forwarded", "ProxyFix"],
        "who may pass is decided by the proxy's address",
    ),
];

/// Reads the description of a stack and warns of orders that are known to be wrong.
///
/// It is what [`Doctor::new`] knows; see there.
///
/// ```
/// use enfilade_core::{Application, Request, around};
/// use enfilade_testing::doctor;
///
/// let app = Application::new(|_: Request| "x")
///     .wrap(around("AccessLog", Application::call))
///     .wrap(around("Headers", Application::call))
///     .wrap(around("Compression", Application::call));
/// let warnings = doctor(&app);
/// assert_eq!(warnings.len(), 1);
/// assert_eq!(
///     warnings[0].to_string(),
///     "AccessLog is inside Compression: the log counts the plain bytes and not those that are sent \
///      (Compression > Headers > AccessLog)"
/// );
/// ```
#[must_use]
pub fn doctor<M>(app: impl IntoHandler<M>) -> Vec<Warning> {
    Doctor::new().examine(app)
}

/// Rules about the order of components, and who applies them.
///
/// A component is known by the name in its [`Description`], in upper or lower case, and nothing else is looked at: one
/// that has the name of another is taken for it, and one with a name of its own needs a rule of its own. Names of
/// which nobody is in the stack do no harm.
///
/// A component is inside another where every request to it comes through the other. What a wrapper asks beside what it
/// is around, such as the fallback of a `NotFound`, is not inside that wrapper.
///
/// | Outside | Inside | Because |
/// |---|---|---|
/// | `ETag`, `Conditional` | `Compression` | the tag is made of coded bytes, which are others for each client |
/// | `Range`, `Ranges` | `Compression` | a range is cut out of coded bytes, which need not be the same the next time |
/// | `Compression` | `AccessLog` | the log counts the plain bytes and not those that are sent |
/// | `Compression` | `Compression` | both choose what is coded, so the settings of neither one hold |
/// | `AccessLog` | `AccessLog` | a request has two lines in the log |
/// | `BodyLimit`, `CatchPanic`, `ConcurrencyLimit`, `DebugErrors`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `AccessLog` | the log does not see what the outer one answers itself |
/// | `BodyLimit`, `CatchPanic`, `ConcurrencyLimit`, `DebugErrors`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `RequestId` | the answer that it gives by itself has no id |
/// | `ErrorPages` | `DebugErrors` | the page of the outer one, which says less, comes in the place of the inner one's |
/// | `NotFound` | `Compression` | the pages of the fallback are not coded |
/// | `NotFound` | `Headers` | the pages of the fallback lack the headers |
/// | `AccessLog` | `Forwarded`, `ProxyFix` | the log takes the proxy for the client |
/// | `BodyLimit`, `CatchPanic`, `ConcurrencyLimit`, `DebugErrors`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `Metrics` | what the outer one answers itself is not counted |
/// | `Compression` | `Metrics` | the plain bytes are counted and not those that are sent |
/// | `Metrics` | `Metrics` | a request is counted twice |
/// | `BodyLimit`, `CatchPanic`, `ConcurrencyLimit`, `DebugErrors`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `Trace` | what the outer one answers itself is not in the span |
/// | `Trace` | `Forwarded`, `ProxyFix` | the span takes the proxy for the client |
/// | `Trace` | `Trace` | a request has two spans of a server |
/// | `CanonicalHost`, `TrustedHosts` | `Forwarded`, `ProxyFix` | the host that is looked at is not the one that the proxy names |
/// | `HttpsRedirect` | `Forwarded`, `ProxyFix` | behind a proxy that ends TLS every request is sent where it came from |
/// | `ProxyFix` | `ProxyFix` | the outer one leaves no header to the inner one |
/// | `RateLimit` | `Forwarded`, `ProxyFix` | all clients behind a proxy are limited as one |
/// | `BodyLimit`, `CatchPanic`, `ConcurrencyLimit`, `DebugErrors`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `Cors` | pages of other origins cannot read what the outer one answers itself, a preflight's answer neither |
/// | `Auth`, `BasicAuth`, `BearerAuth`, `DigestAuth` | `Cors` | a preflight request has no credentials, and is refused before it is answered |
/// | `BodyLimit` | `Decompression` | the limit counts coded bytes, and a short request may become a long one behind it |
/// | `Timeout` | `EventStream`, `ServerSentEvents`, `WebSocket` | what is meant to stay open is broken off when the time is over |
/// | `HttpsRedirect` | `TrustedHosts` | the redirect leads to whatever host a client names |
/// | `BodyLimit`, `CatchPanic`, `ConcurrencyLimit`, `DebugErrors`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `SecurityHeaders` | what the outer one answers itself lacks the headers |
/// | `ErrorPages` | `Compression` | the pages of errors are not coded |
/// | `ContentType` | `Compression` | the type is not known yet when it is decided what is coded |
/// | `SendFile` | `Compression`, `Inspect`, `Trace` | the inner one makes streams of the files, which the web server cannot send by itself |
/// | `AccessLog`, `Trace` | `Sensitive` | the headers of requests are shown before they are marked |
/// | `Maintenance` | `Forwarded`, `ProxyFix` | who may pass is decided by the proxy's address |
///
/// ```
/// use enfilade_core::{Application, Request, around};
/// use enfilade_testing::Doctor;
///
/// let app = Application::new(|_: Request| "x")
///     .wrap(around("Session", Application::call))
///     .wrap(around("Cart", Application::call));
/// let warnings = Doctor::new()
///     .rule("Cart", "Session", "the cart is kept in the session")
///     .examine(&app);
/// assert_eq!(warnings[0].outer(), Some("Cart"));
/// assert_eq!(warnings[0].path(), ["Cart", "Session"]);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a doctor says nothing until something is examined"]
pub struct Doctor {
    rules: Vec<OrderRule>,
}

#[derive(Clone, Debug)]
struct OrderRule {
    outer: Cow<'static, str>,
    inner: Cow<'static, str>,
    reason: Cow<'static, str>,
}

impl Doctor {
    /// With all rules of the table.
    pub fn new() -> Doctor {
        let rules = KNOWN.iter().flat_map(|(outers, inners, reason)| {
            let pairs = outers
                .iter()
                .flat_map(|outer| inners.iter().map(move |inner| (outer, inner)));
            pairs.map(|(outer, inner)| OrderRule {
                outer: (*outer).into(),
                inner: (*inner).into(),
                reason: (*reason).into(),
            })
        });
        Doctor {
            rules: rules.collect(),
        }
    }

    /// Adds a rule: `outer` around `inner` is wrong, because of `reason`.
    pub fn rule(
        mut self,
        outer: impl Into<Cow<'static, str>>,
        inner: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Doctor {
        self.rules.push(OrderRule {
            outer: outer.into(),
            inner: inner.into(),
            reason: reason.into(),
        });
        self
    }

    /// Warns of every component that is inside one that it should not be in, outermost first.
    ///
    /// It also shows the [warnings](Description::warnings) of each component about itself, such as the routes that no
    /// request reaches (`Router::check`, feature `route-check`).
    ///
    /// Of several outer components with one name the nearest is meant.
    #[must_use]
    pub fn examine<M>(&self, app: impl IntoHandler<M>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        self.visit(
            &app.into_application().describe(),
            "",
            &mut Vec::new(),
            &mut warnings,
        );
        warnings
    }

    fn visit(
        &self,
        component: &Description,
        label: &str,
        outside: &mut Vec<PathStep>,
        warnings: &mut Vec<Warning>,
    ) {
        let name = component.name();
        if name == lint::NAME {
            // It is nobody, and what is inside stands in its place.
            for (_, inner) in component.children() {
                self.visit(inner, label, outside, warnings);
            }
            return;
        }
        outside.push(PathStep {
            name: name.to_owned(),
            label: label.to_owned(),
            is_around: false,
        });
        let own = component.warnings();
        warnings.extend(own.map(|reason| Warning::new(None, reason.to_owned().into(), outside)));
        let broken = self
            .rules
            .iter()
            .filter(|rule| rule.inner.eq_ignore_ascii_case(name));
        warnings.extend(broken.filter_map(|rule| rule.apply(outside)));
        let is_wrapper = component.children().any(|(label, _)| label.is_empty());
        for (label, inner) in component.children() {
            if let Some(place) = outside.last_mut() {
                place.is_around = !is_wrapper || label.is_empty();
            }
            self.visit(inner, label, outside, warnings);
        }
        outside.pop();
    }
}

impl Default for Doctor {
    fn default() -> Doctor {
        Doctor::new()
    }
}

/// A component on the way from the outermost one.
struct PathStep {
    name: String,
    label: String,
    /// Whether it is around what comes next, and not beside it.
    is_around: bool,
}

impl OrderRule {
    /// A warning where the last place is inside of one that it should not be in.
    fn apply(&self, way: &[PathStep]) -> Option<Warning> {
        let (_, outside) = way.split_last()?;
        let is_outer =
            |place: &&PathStep| place.is_around && place.name.eq_ignore_ascii_case(&self.outer);
        let outer = outside.iter().rev().find(is_outer)?;
        Some(Warning::new(Some(outer), self.reason.clone(), way))
    }
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            write!(f, "{}: ", self.label)?;
        }
        f.write_str(&self.name)
    }
}

/// Two components in an order that is known to be wrong, or a mistake in one component.
///
/// [`Display`](fmt::Display) puts it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    outer: Option<String>,
    inner: String,
    reason: Cow<'static, str>,
    path: Vec<String>,
}

impl Warning {
    /// A warning about the last place of a way, inside another one or alone.
    fn new(outer: Option<&PathStep>, reason: Cow<'static, str>, way: &[PathStep]) -> Warning {
        Warning {
            outer: outer.map(|outer| outer.name.clone()),
            inner: way.last().map(|last| last.name.clone()).unwrap_or_default(),
            reason,
            path: way.iter().map(ToString::to_string).collect(),
        }
    }

    /// The name of the outer component; `None` if the warning is about one component alone.
    #[must_use]
    pub fn outer(&self) -> Option<&str> {
        self.outer.as_deref()
    }

    /// The name of the component inside it, or of the only one.
    #[must_use]
    pub fn inner(&self) -> &str {
        &self.inner
    }

    /// What is wrong with that.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The components from the outermost one to the inner one of the two, as the description's tree has them: with the
    /// label in front where there is one.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning {
            outer,
            inner,
            reason,
            path,
        } = self;
        let path = path.join(" > ");
        match outer {
            Some(outer) => write!(f, "{inner} is inside {outer}: {reason} ({path})"),
            None => write!(f, "{inner}: {reason} ({path})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Application, Handler, Reply, Request, around};

    use super::*;
    use crate::lint::Lint;
    use crate::lint::everywhere::lint_all;

    /// A stack of these, outermost first, around `app`.
    fn stack(names: &[&str], app: Application) -> Application {
        let names = names.iter().rev();
        names.fold(app, |app, name| app.wrap(around(*name, Application::call)))
    }

    fn room() -> Application {
        Application::new(|_: Request| "room")
    }

    /// A component with applications inside: with an empty label one that it is around, and others by label.
    struct Branches(&'static str, Vec<(&'static str, Application)>);

    impl Handler for Branches {
        fn call(&self, _request: Request) -> Reply {
            Reply::new(())
        }

        fn describe(&self) -> Description {
            let branches = self.1.iter();
            branches.fold(Description::new(self.0), |all, (label, app)| {
                all.child(*label, app.describe())
            })
        }
    }

    fn warnings_of(app: &Application) -> Vec<String> {
        doctor(app).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_rule_is_about_one_order_of_two() {
        let rules = Doctor::new().rules;
        assert_eq!(rules.len(), 92);
        for OrderRule {
            outer,
            inner,
            reason,
        } in &rules
        {
            let wrong = warnings_of(&stack(&["Hall", outer, "Salon", inner], room()));
            let expected =
                format!("{inner} is inside {outer}: {reason} (Hall > {outer} > Salon > {inner})");
            assert_eq!(wrong, [expected]);
            if outer != inner {
                let right = warnings_of(&stack(&[inner, outer], room()));
                assert_eq!(right, [""; 0], "{inner} around {outer}");
            }
            let apart = Branches(
                "Router",
                vec![
                    ("/a", stack(&[outer], room())),
                    ("/b", stack(&[inner], room())),
                ],
            );
            assert_eq!(
                warnings_of(&Application::new(apart)),
                [""; 0],
                "{outer}, {inner}"
            );
        }
    }

    #[test]
    fn the_docs_have_the_rules() {
        let docs = include_str!("doctor.rs");
        for (outers, inners, reason) in KNOWN {
            let names = |names: &[&str]| names.join("`, `");
            let row = format!(
                "/// | `{}` | `{}` | {reason} |",
                names(outers),
                names(inners)
            );
            assert!(docs.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_good_stack_has_no_warning() {
        let names = [
            "ProxyFix",
            "AccessLog",
            "Headers",
            "Cors",
            "Compression",
            "DebugErrors",
            "ErrorPages",
            "CatchPanic",
            "Timeout",
            "BasicAuth",
            "ETag",
            "Range",
            "Decompression",
            "BodyLimit",
            "NotFound",
            "Router",
        ];
        assert_eq!(warnings_of(&stack(&names, room())), [""; 0]);
    }

    #[test]
    fn a_lint_is_looked_through() {
        let app = stack(&["Compression", "AccessLog"], room());
        assert_eq!(warnings_of(&lint_all(&app)), warnings_of(&app));
        let wrapped = Branches("NotFound", vec![("", room()), ("otherwise", app)]);
        let app = Application::new(wrapped);
        assert_eq!(
            warnings_of(&app.clone().wrap(Lint::new())),
            warnings_of(&app)
        );
    }

    #[test]
    fn what_is_beside_a_wrapper_is_not_inside_it() {
        let not_found = |app, fallback| {
            Application::new(Branches(
                "NotFound",
                vec![("", app), ("otherwise", fallback)],
            ))
        };
        let headers = || stack(&["Headers"], room());
        assert_eq!(warnings_of(&not_found(room(), headers())), [""; 0]);
        let inside = doctor(not_found(headers(), headers()));
        assert_eq!(inside.len(), 1);
        assert_eq!(inside[0].path(), ["NotFound", "Headers"]);
        // Further out it counts again.
        let log = || stack(&["AccessLog"], room());
        let app = stack(&["Compression"], not_found(room(), log()));
        let found = doctor(&app);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].path(),
            ["Compression", "NotFound", "otherwise: AccessLog"]
        );
    }

    #[test]
    fn the_nearest_one_is_meant_and_every_path_is_seen() {
        let routes = vec![
            ("GET /a", stack(&["compression"], room())),
            ("/b/...", stack(&["Salon", "Compression"], room())),
        ];
        let router = Application::new(Branches("Router", routes));
        let found = doctor(stack(&["Compression", "COMPRESSION"], router));
        let pairs: Vec<_> = found
            .iter()
            .map(|warning| {
                let outer = warning.outer().unwrap_or_default();
                (outer, warning.inner(), warning.path().join(" > "))
            })
            .collect();
        let path = |rest: &str| format!("Compression > COMPRESSION{rest}");
        assert_eq!(
            pairs,
            [
                ("Compression", "COMPRESSION", path("")),
                (
                    "COMPRESSION",
                    "compression",
                    path(" > Router > GET /a: compression")
                ),
                (
                    "COMPRESSION",
                    "Compression",
                    path(" > Router > /b/...: Salon > Compression")
                ),
            ]
        );
    }

    #[test]
    fn warnings_of_a_component_about_itself_are_shown() {
        struct Wrong;
        impl Handler for Wrong {
            fn call(&self, _request: Request) -> Reply {
                Reply::new(())
            }

            fn describe(&self) -> Description {
                Description::new("Wrong").warning("no door")
            }
        }
        let found = doctor(stack(&["Hall"], Application::new(Wrong)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "Wrong: no door (Hall > Wrong)");
        assert_eq!((found[0].outer(), found[0].inner()), (None, "Wrong"));
    }

    #[test]
    fn rules_can_be_added_about_anything() {
        let app = Application::new(Branches("Router", vec![("/a", stack(&["Shop"], room()))]));
        let found = Doctor::default()
            .rule(
                "router",
                String::from("shop"),
                "shops have streets of their own",
            )
            .examine(&app);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "Shop is inside Router: shops have streets of their own (Router > /a: Shop)"
        );
        assert_eq!(found[0].reason(), "shops have streets of their own");
    }
}
