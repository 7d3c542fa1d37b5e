// Long tables are laid out only once their pages are made: thousands of rows that nobody sees yet would take most of the
// time in which the page opens. Whatever happens to the other script, the rows are there in the end.
document.documentElement.classList.add("opening");
addEventListener("DOMContentLoaded", () => document.documentElement.classList.remove("opening"));
