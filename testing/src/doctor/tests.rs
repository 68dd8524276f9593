use enfilade_core::{Application, Handler, Reply, Request, around};

use super::*;
use crate::lint::Lint;
use crate::lint::everywhere::lint_all;

/// A stack of these names, outermost first, around `app`.
fn stack(names: &[&str], app: Application) -> Application {
    let names = names.iter().rev();
    names.fold(app, |app, name| app.wrap(around(*name, Application::call)))
}

fn room() -> Application {
    Application::new(|_: Request| "room")
}

/// A component with children: one with an empty label is wrapped, the others are found by label.
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
    assert_eq!(rules.len(), 145);
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
    let docs = include_str!("mod.rs");
    for (outers, inners, reason) in rules::KNOWN {
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

#[test]
fn an_accepted_warning_is_silent_and_an_unused_one_is_reported() {
    let app = stack(&["Compression", "AccessLog", "AccessLog"], room());
    let named = |doctor: Doctor| {
        let warnings = doctor.examine(&app);
        warnings.iter().map(Warning::name).collect::<Vec<_>>()
    };
    let inside = "AccessLog is inside Compression";
    let twice = "AccessLog is inside AccessLog";
    assert_eq!(named(Doctor::new()), [inside, inside, twice]);
    assert_eq!(
        named(Doctor::new().accept("accesslog IS inside compression")),
        [twice]
    );
    assert_eq!(named(Doctor::new().accept(inside).accept(twice)), [""; 0]);
    let unused = "Doctor: no warning is named \"Trace is inside Trace\": no longer accept it";
    let doctor = Doctor::new().accept(inside).accept("Trace is inside Trace");
    assert_eq!(named(doctor), [twice, unused]);
    // Two components are not confused, and a rule of the author can be accepted like any other.
    let doctor = Doctor::new().rule("Compression", "room", "it is small");
    assert_eq!(named(doctor.accept(inside).accept("AccessLog")).len(), 2);
}

#[test]
fn a_warning_of_a_component_about_itself_is_accepted_with_its_reason() {
    struct Wrong;
    impl Handler for Wrong {
        fn call(&self, _request: Request) -> Reply {
            Reply::new(())
        }

        fn describe(&self) -> Description {
            Description::new("Wrong")
                .warning("no door")
                .warning("no roof")
        }
    }
    let found = Doctor::new()
        .accept("Wrong: no door")
        .examine(Application::new(Wrong));
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["Wrong: no roof (Wrong)"]);
}
