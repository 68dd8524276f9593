//! How the compiler distinguishes the types that become an application.
//!
//! One impl of [`IntoHandler`](crate::IntoHandler) covers all forms, in three steps. A [`Component`] names the type
//! that a call returns, [`Responds`] names the form of that type, and [`Build`] has the conditions of the form. Each
//! step finds one impl without the conditions of the next. So a compiler error points at the wrong part, such as the
//! number that a closure returns, and not at the whole closure. With an impl for each form the compiler would try all
//! of them, and could only say that none matches.

use std::marker::PhantomData;

use crate::compose::application::{Application, Handler};
use crate::compose::description::Description;
use crate::compose::reply::Reply;
use crate::message::request::Request;
use crate::message::response::IntoResponse;

/// Type-level names for the arguments of [`Application::new`](crate::Application::new).
pub mod marker {
    use std::marker::PhantomData;

    /// A closure or function.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Function;
    /// A type that is `IntoResponse`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Immediate;
    /// A future.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Future;
    /// A `Reply`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Reply;
    /// A type that implements `Handler`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Handler;
    /// An application.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Application;
    /// A type that needs no building; `M` names the form that makes it an application.
    #[derive(Debug)]
    pub struct Ready<M>(PhantomData<M>);
    /// A type that must be built first, which may fail.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Unbuilt;
}

/// The return type of a call; for a `Handler` and an application it is fixed.
#[expect(unnameable_types, reason = "a step of `IntoHandler`, for the compiler")]
pub trait Component<K> {
    type Returned;
}

impl<F, R> Component<marker::Function> for F
where
    F: FnOnce(Request) -> R,
{
    type Returned = R;
}

impl<H: Handler> Component<marker::Handler> for H {
    type Returned = ByHandler;
}

impl Component<marker::Application> for Application {
    type Returned = ByApplication;
}

impl Component<marker::Application> for &Application {
    type Returned = ByApplication;
}

/// The form of a closure with this return type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be turned into a response",
    label = "this returns `{Self}`",
    note = "text, bytes, `StatusCode`, `(StatusCode, T)`, `([(name, value); N], T)`, `Option`, `Body` and `Response` can, and a `Reply`",
    note = "for `?` on any error return `Result<_, HttpError>`; an error type of your own implements `IntoResponse`",
    note = "a number is sent as text, `.to_string()`; JSON as `Json(value)`, with the feature `json`"
)]
#[expect(unnameable_types, reason = "a step of `IntoHandler`, for the compiler")]
pub trait Responds<M> {
    type Form;
}

impl<R: IntoResponse> Responds<marker::Immediate> for R {
    type Form = Immediate<R>;
}

impl<R: Future> Responds<marker::Future> for R {
    type Form = Pending<R>;
}

#[diagnostic::do_not_recommend]
impl Responds<marker::Reply> for Reply {
    type Form = Reply;
}

#[diagnostic::do_not_recommend]
impl Responds<marker::Handler> for ByHandler {
    type Form = ByHandler;
}

#[diagnostic::do_not_recommend]
impl Responds<marker::Application> for ByApplication {
    type Form = ByApplication;
}

/// Makes an application from a component of this form.
#[expect(unnameable_types, reason = "a step of `IntoHandler`, for the compiler")]
pub trait Build<T> {
    fn build(component: T) -> Application;
}

#[expect(unnameable_types, reason = "a form, for the compiler")]
#[derive(Debug)]
pub struct ByHandler;

#[expect(unnameable_types, reason = "a form, for the compiler")]
#[derive(Debug)]
pub struct ByApplication;

#[expect(unnameable_types, reason = "a form, for the compiler")]
#[derive(Debug)]
pub struct Immediate<R>(PhantomData<R>);

#[expect(unnameable_types, reason = "a form, for the compiler")]
#[derive(Debug)]
pub struct Pending<R>(PhantomData<R>);

impl<H: Handler> Build<H> for ByHandler {
    fn build(handler: H) -> Application {
        Application::from_handler(handler)
    }
}

impl Build<Application> for ByApplication {
    fn build(app: Application) -> Application {
        app
    }
}

impl Build<&Application> for ByApplication {
    fn build(app: &Application) -> Application {
        app.clone()
    }
}

impl<F, R> Build<F> for Immediate<R>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn build(function: F) -> Application {
        Closure::<F, _>::app(move |request| Reply::new(function(request)))
    }
}

impl<F> Build<F> for Reply
where
    F: Fn(Request) -> Reply + Send + Sync + 'static,
{
    fn build(function: F) -> Application {
        Closure::<F, _>::app(function)
    }
}

impl<F, R> Build<F> for Pending<R>
where
    F: FnOnce(Request) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
    Self: ClonesPerRequest<F>,
{
    fn build(function: F) -> Application {
        Closure::<F, _>::app(move |request| Reply::from_future(Self::cloned(&function)(request)))
    }
}

/// Requires that a closure can be cloned, with its own error message.
#[diagnostic::on_unimplemented(
    message = "`{F}` is cloned for each request, and something that it captures cannot be cloned",
    label = "an async closure owns its captures: they are cloned for each request",
    note = "share it: `let value = Arc::new(value);` before the closure"
)]
#[expect(unnameable_types, reason = "a step of `IntoHandler`, for the compiler")]
pub trait ClonesPerRequest<F> {
    fn cloned(function: &F) -> F;
}

#[diagnostic::do_not_recommend]
impl<R, F: Clone> ClonesPerRequest<F> for Pending<R> {
    #[inline]
    fn cloned(function: &F) -> F {
        function.clone()
    }
}

/// A closure that returns replies, named for the user's closure that it calls.
struct Closure<F, C> {
    call: C,
    named_for: PhantomData<fn() -> F>,
}

impl<F, C> Closure<F, C>
where
    F: 'static,
    C: Fn(Request) -> Reply + Send + Sync + 'static,
{
    fn app(call: C) -> Application {
        Application::from_handler(Closure::<F, C> {
            call,
            named_for: PhantomData,
        })
    }
}

impl<F, C> Handler for Closure<F, C>
where
    F: 'static,
    C: Fn(Request) -> Reply + Send + Sync + 'static,
{
    #[inline]
    fn call(&self, request: Request) -> Reply {
        (self.call)(request)
    }

    fn describe(&self) -> Description {
        Description::of::<F>()
    }
}
