//! Makes our rate limit from the `config` of a case.

use std::collections::BTreeMap;
use std::time::Duration;

use enfilade::Request;
use enfilade::middleware::{Quota, RateLimit};
use serde_json::Value;

use crate::case::{known, number, object, required};
use crate::verdict::{Check, refused, unsupported};

/// Our rate limit: a generic cell rate algorithm, which restores a quota evenly and has no windows.
const OURS: &str = "gcra";
/// The algorithms for which cases may have other expectations.
const ALGORITHMS: [&str; 4] = ["fixed window", "gcra", "sliding window", "token bucket"];

/// Returns the expectation for our algorithm, if a case has one for each.
pub(crate) fn of_ours(each: &Value) -> Check<&Value> {
    known(each, "by_algorithm", &ALGORITHMS)?;
    let ours = each.get(OURS);
    ours.map_or_else(|| unsupported(format!("{OURS} is not in {each}")), Ok)
}

/// Makes the limit without its clock.
///
/// Our quota is restored evenly, whatever algorithm a case names: for a window, its allowed number over its time; for a
/// bucket, its refill.
pub(crate) fn limit(layer: &Value) -> Check<RateLimit> {
    let keys = [
        "middleware",
        "algorithm",
        "limit",
        "period_s",
        "refill_per_s",
    ];
    let keys = [&keys[..], &["key", "quotas", "clock"]].concat();
    known(layer, "config", &keys)?;
    let (Some(most), Some(period)) = (number(layer, "limit"), number(layer, "period_s")) else {
        return unsupported(format!("the quota of {layer}"));
    };
    let quota = match (required(layer, "algorithm")?, number(layer, "refill_per_s")) {
        ("fixed window" | "gcra" | "sliding window", None) => quota(most, period)?,
        ("token bucket", Some(refill)) => quota(refill, 1)?.burst(requests(most)?),
        (other, _) => return unsupported(format!("the algorithm {other:?}")),
    };
    let limit = match required(layer, "key")? {
        "peer address" => RateLimit::new(quota),
        "query parameter user" => RateLimit::new(quota).by(user),
        other => return unsupported(format!("the key {other:?}")),
    };
    let quotas = layer.get("quotas").map(quotas).transpose()?;
    let quotas = quotas.unwrap_or_default();
    Ok(limit.quota_by(move |request| quotas.get(&user(request)?).copied()))
}

/// The quotas of users: `{"name": [requests, seconds]}`.
fn quotas(quotas: &Value) -> Check<BTreeMap<String, Quota>> {
    let own = |(user, own): (&String, &Value)| match (own[0].as_u64(), own[1].as_u64()) {
        (Some(most), Some(period)) => Ok((user.clone(), quota(most, period)?)),
        _ => unsupported(format!("the quota {own}")),
    };
    object(quotas)?.iter().map(own).collect()
}

fn quota(most: u64, period: u64) -> Check<Quota> {
    Quota::new(requests(most)?, Duration::from_secs(period)).or_else(refused)
}

fn requests(number: u64) -> Check<u32> {
    u32::try_from(number).or_else(|_| unsupported(format!("{number} requests")))
}

/// The user in a query.
fn user(request: &Request) -> Option<String> {
    let mut pairs = request.uri().query()?.split('&');
    let user = pairs.find_map(|pair| pair.strip_prefix("user="));
    user.map(str::to_owned)
}
