// The chapters are in `docs/`, to be read there too. Their links lead to docs.rs; the same names in `links.md` lead to the
// items themselves, and the first definition of a name counts. Without all features some of these items are missing.
#![cfg_attr(feature = "full", doc = include_str!("links.md"))]
#![doc = include_str!("../../docs/README.md")]

macro_rules! chapters {
    ($($(#[$attribute:meta])? $name:ident)*) => {$(
        #[cfg_attr(feature = "full", doc = include_str!("links.md"))]
        #[doc = include_str!(concat!("../../docs/", stringify!($name), ".md"))]
        $(#[$attribute])?
        pub mod $name {}
    )*};
}

chapters! {
    first_stack
    state
    #[cfg(all(feature = "form", feature = "json", feature = "multipart"))]
    data
    #[cfg(all(feature = "files", feature = "zip"))]
    files
    #[cfg(feature = "time")]
    conditional
    #[cfg(all(feature = "auth", feature = "form", feature = "htpasswd", feature = "laws", feature = "sessions"))]
    sessions
    errors
    wrappers
    dispatch
    components
    testing
    #[cfg(feature = "metrics")]
    observe
    deployment
    #[cfg(feature = "tower")]
    from_axum
    #[cfg(feature = "wsgi")]
    from_wsgi
    from_rack
    inside
}
