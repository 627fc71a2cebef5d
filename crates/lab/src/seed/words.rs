//! Names and sentences.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

const FIRST: [&str; 24] = [
    "Ada", "Amir", "Anna", "Bela", "Chen", "Dana", "Elif", "Femi", "Grace", "Hana", "Ines", "Ivan",
    "Jonas", "Kofi", "Lena", "Luis", "Maya", "Noor", "Olga", "Pia", "Ravi", "Sara", "Tomas",
    "Yuki",
];
const LAST: [&str; 24] = [
    "Abbot", "Baker", "Costa", "Diaz", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen",
    "Kim", "Lindholm", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Santos", "Tanaka",
    "Usman", "Vogel", "Weber", "Zhang",
];
const TRADES: [&str; 12] = [
    "Bakery",
    "Bicycles",
    "Books",
    "Clinic",
    "Coffee",
    "Foods",
    "Gardens",
    "Labs",
    "Logistics",
    "Press",
    "Studio",
    "Tools",
];
const PROJECTS: [&str; 12] = [
    "Website",
    "Autumn release",
    "Onboarding",
    "Warehouse",
    "Hiring",
    "Billing questions",
    "Mobile app",
    "Customer visits",
    "Security review",
    "Price list",
    "Support rota",
    "Office move",
];
const VERBS: [&str; 12] = [
    "Check",
    "Describe",
    "Fix",
    "Measure",
    "Order",
    "Plan",
    "Prepare",
    "Publish",
    "Review",
    "Send",
    "Translate",
    "Write",
];
const THINGS: [&str; 16] = [
    "the address form",
    "the annual figures",
    "the backup",
    "the contract",
    "the delivery notes",
    "the error pages",
    "the first page",
    "the guide",
    "the invoice run",
    "the labels",
    "the list of parts",
    "the newsletter",
    "the price rules",
    "the search",
    "the translations",
    "the visit",
];
const REMARKS: [&str; 12] = [
    "could you have a look?",
    "this is ready for you.",
    "I would start with the second part.",
    "the customer asked again.",
    "done on my side.",
    "what do you think?",
    "I moved it to next week.",
    "please check the figures.",
    "good catch, thank you.",
    "we need this by Friday.",
    "the test passes now.",
    "I have a question about this.",
];

fn one(random: &mut StdRng, words: &[&'static str]) -> &'static str {
    words.choose(random).copied().unwrap_or_default()
}

pub fn person(random: &mut StdRng) -> String {
    format!("{} {}", one(random, &FIRST), one(random, &LAST))
}

pub fn company(random: &mut StdRng) -> String {
    format!("{} {}", one(random, &LAST), one(random, &TRADES))
}

pub fn project(random: &mut StdRng) -> &'static str {
    one(random, &PROJECTS)
}

pub fn task(random: &mut StdRng) -> String {
    let number: u16 = random.random_range(1..400);
    format!("{} {} ({number})", one(random, &VERBS), one(random, &THINGS))
}

pub fn remark(random: &mut StdRng) -> &'static str {
    one(random, &REMARKS)
}
