//! A JSON API with state, typed errors, and problem details for errors.
//!
//! ```sh
//! cargo run --example api --features json,form
//! curl -i localhost:8000/rooms -H 'content-type: application/json' -d '{"name": "salon", "seats": 12}'
//! curl -i 'localhost:8000/rooms?min_seats=10'
//! curl -i localhost:8000/rooms/1 -X PATCH -H 'content-type: application/json' -d '{"seats": "many"}'
//! curl -i localhost:8000/rooms/1 -X DELETE
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use enfilade::http::StatusCode;
use enfilade::middleware::{AccessLog, CatchPanic, ErrorFormat, ErrorPages, Router};
use enfilade::{
    Application, Created, HttpError, IntoResponse, Json, NoContent, Request, Response, Server,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize)]
struct Room {
    id: u32,
    name: String,
    seats: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRoom {
    name: String,
    seats: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    name: Option<String>,
    seats: Option<u32>,
}

#[derive(Deserialize)]
struct Search {
    min_seats: Option<u32>,
}

/// The errors of the API; all others are an [`HttpError`] from `?`.
enum ApiError {
    NoSuchRoom(u32),
    NameTaken(String),
    Other(HttpError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = match self {
            ApiError::NoSuchRoom(id) => {
                HttpError::new(StatusCode::NOT_FOUND).message(format!("there is no room {id}"))
            }
            ApiError::NameTaken(name) => HttpError::new(StatusCode::CONFLICT)
                .message("the name is taken")
                .member("type", "https://example.com/problems/name-taken")
                .member("name", name),
            ApiError::Other(error) => error,
        };
        error.into_response()
    }
}

impl<E: Into<HttpError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        ApiError::Other(error.into())
    }
}

/// The rooms; a real program has a database here.
#[derive(Default)]
struct Rooms(Mutex<BTreeMap<u32, Room>>);

impl Rooms {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<u32, Room>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn list(&self, request: &Request) -> Result<Json<Vec<Room>>, ApiError> {
        let least = request.query::<Search>()?.min_seats.unwrap_or(0);
        let rooms = self.with(|rooms| rooms.values().cloned().collect::<Vec<_>>());
        Ok(Json(
            rooms
                .into_iter()
                .filter(|room| room.seats >= least)
                .collect(),
        ))
    }

    async fn add(&self, mut request: Request) -> Result<Created<Json<Room>>, ApiError> {
        let NewRoom { name, seats } = request.json().await?;
        let room = self.with(|rooms| {
            if rooms.values().any(|room| room.name == name) {
                return Err(ApiError::NameTaken(name));
            }
            let id = rooms.keys().last().map_or(1, |last| last + 1);
            let room = Room { id, name, seats };
            rooms.insert(id, room.clone());
            Ok(room)
        })?;
        Ok(Created::new(
            &request,
            &format!("/rooms/{}", room.id),
            Json(room),
        ))
    }

    fn show(&self, request: &Request) -> Result<Json<Room>, ApiError> {
        let id = request.param("id")?;
        let room = self.with(|rooms| rooms.get(&id).cloned());
        room.map(Json).ok_or(ApiError::NoSuchRoom(id))
    }

    async fn change(&self, mut request: Request) -> Result<Json<Room>, ApiError> {
        let id = request.param("id")?;
        let Changes { name, seats } = request.json().await?;
        self.with(|rooms| {
            let room = rooms.get_mut(&id).ok_or(ApiError::NoSuchRoom(id))?;
            room.name = name.unwrap_or_else(|| room.name.clone());
            room.seats = seats.unwrap_or(room.seats);
            Ok(Json(room.clone()))
        })
    }

    fn remove(&self, request: &Request) -> Result<NoContent, ApiError> {
        let id = request.param("id")?;
        let removed = self.with(|rooms| rooms.remove(&id));
        removed.map(|_| NoContent).ok_or(ApiError::NoSuchRoom(id))
    }
}

fn app() -> Result<Application, enfilade::middleware::Error> {
    let rooms = Arc::new(Rooms::default());
    let [list, add, show, change, remove] = std::array::from_fn(|_| rooms.clone());
    let router = Router::new()
        .get("/rooms", move |request: Request| list.list(&request))
        .post("/rooms", async move |request: Request| {
            add.add(request).await
        })
        .get("/rooms/{id:int}", move |request: Request| {
            show.show(&request)
        })
        .patch("/rooms/{id:int}", async move |request: Request| {
            change.change(request).await
        })
        .delete("/rooms/{id:int}", move |request: Request| {
            remove.remove(&request)
        });
    let problems = ErrorPages::new().formats([ErrorFormat::Problem]);
    Ok(router
        .build()?
        .wrap(CatchPanic::new())
        .wrap(problems)
        .wrap(AccessLog::json()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app()?)?;
    Ok(())
}
