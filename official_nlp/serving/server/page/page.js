// The page of `electra serve`: asks for the models, shows a field for each text input of a signature,
// and shows the outputs. Text gets into the page by textContent alone.
"use strict";

const DEFAULT = "serving_default";
const FILL = "fill_blanks";
const BLANK = /\[MASK\]|_{2,}/;
// Red, green and blue of the lowest and of the highest probability.
const LOWEST = [255, 250, 230];
const HIGHEST = [222, 73, 52];
const BOLD_WORDS = 3;

const byId = (id) => document.getElementById(id);
let models = [];

// === Elements ===

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function table(heads, rows) {
  const made = element("table");
  if (heads.length) {
    const head = made.appendChild(element("tr"));
    for (const each of heads) head.appendChild(element("th", each));
  }
  for (const row of rows) {
    const line = made.appendChild(element("tr"));
    for (const cell of row.cells ?? row) {
      const box = line.appendChild(element("td", cell instanceof Node ? undefined : cell));
      if (cell instanceof Node) box.appendChild(cell);
    }
    if (row.chosen) line.className = "chosen";
  }
  return made;
}

function bar(share) {
  const made = element("meter");
  made.max = 1;
  made.value = share;
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function options(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.parentElement.hidden = names.length < 2;
}

// === The form ===

const model = () => models.find((each) => each.name === byId("model").value);
const signature = () => model().signatures[byId("signature").value];

// Text fields serve one string an instance, or a list of them.
function isText(signature) {
  return Object.values(signature.inputs).every((each) => each.dtype === "string" && each.shape.length < 3);
}

function showModel() {
  const names = Object.keys(model().signatures).filter((name) => isText(model().signatures[name]));
  names.sort((a, b) => (b === DEFAULT) - (a === DEFAULT));
  options(byId("signature"), names);
  byId("run").disabled = !names.length;
  if (names.length) showInputs();
  else showStatus("This model has no signature that takes texts.", true);
}

function showInputs() {
  const before = new Map([...byId("inputs").querySelectorAll("textarea")].map((e) => [e.name, e.value]));
  // In the order of use: a text before its pair, a question before its context.
  const order = ["question", "context", "text", "text_pair", "choices"];
  const names = Object.keys(signature().inputs).sort((a, b) => order.indexOf(a) - order.indexOf(b));
  byId("inputs").replaceChildren(
    ...names.map((name) => {
      const isList = signature().inputs[name].shape.length === 2;
      const label = element("label", isList ? `${name}, one in a line` : name);
      const field = label.appendChild(element("textarea"));
      field.name = name;
      field.rows = 3;
      field.value = before.get(name) ?? "";
      return label;
    }),
  );
}

function instance() {
  const values = {};
  for (const field of byId("inputs").querySelectorAll("textarea")) {
    const isList = signature().inputs[field.name].shape.length === 2;
    values[field.name] = isList ? field.value.split("\n").filter((line) => line.trim()) : field.value;
  }
  return values;
}

function showStatus(text, isError) {
  byId("status").textContent = text;
  byId("status").className = isError ? "error" : "";
}

// === Requests ===

async function fetched(path, request) {
  const response = await fetch(path, request);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}

async function predict(signatureName, values) {
  // By column: an output by row would have no name where it is the only one.
  const inputs = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, [value]]));
  const path = `v1/models/${encodeURIComponent(model().name)}:predict`;
  const body = JSON.stringify({ signature_name: signatureName, inputs });
  const { outputs } = await fetched(path, { method: "POST", body });
  const names = Object.keys(model().signatures[signatureName].outputs);
  const columns = names.length === 1 ? { [names[0]]: outputs } : outputs;
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[0]]));
}

async function run(event) {
  event.preventDefault();
  byId("run").disabled = true;
  showStatus("computing ...");
  try {
    const values = instance();
    const chosen = byId("signature").value;
    const outputs = await predict(chosen, values);
    const shown = shownOutputs(values, outputs);
    let answers = { [chosen]: outputs };
    // A pair of networks also fills what is blank.
    if (chosen === DEFAULT && FILL in model().signatures && BLANK.test(values.text ?? "")) {
      const filled = await predict(FILL, { text: values.text });
      answers[FILL] = filled;
      shown.push(...shownOutputs(values, filled));
    }
    if (outputs.truncated) shown.push(element("p", "The text was longer than the model reads.", "note"));
    byId("result").replaceChildren(...shown);
    byId("answer").textContent = JSON.stringify(answers, null, 2);
    showStatus("");
  } catch (error) {
    byId("result").replaceChildren();
    byId("answer").textContent = "";
    showStatus(error.message, true);
  }
  byId("run").disabled = false;
}

// === Outputs ===

function shownOutputs(values, outputs) {
  const has = (...names) => names.every((name) => name in outputs);
  if (has("word", "start", "end", "replaced")) return scoredWords(values.text, outputs);
  if (has("token", "score", "num_blanks")) return fillings(outputs);
  if (has("entity_label", "entity_start", "entity_end")) return entities(values.text, outputs);
  if (has("answer", "start", "end", "score")) return answerIn(values.context, outputs);
  if (has("classes", "scores")) return classes(outputs);
  if (has("choice", "scores") && "choices" in values) return choices(values.choices, outputs);
  return [plainTable(outputs)];
}

// A text with marked spans, which are in order and count characters, not units of UTF-16.
function marked(text, spans) {
  const characters = Array.from(text ?? "");
  const made = element("p", undefined, "text");
  let end = 0;
  for (const span of spans) {
    made.append(characters.slice(end, span.start).join(""));
    span.node.prepend(characters.slice(span.start, span.end).join(""));
    made.appendChild(span.node);
    end = span.end;
  }
  made.append(characters.slice(end).join(""));
  return made;
}

function scoredWords(text, outputs) {
  const count = outputs.num_words ?? outputs.word.length;
  const scores = outputs.replaced.slice(0, count);
  // Relative to the highest: only the order is meaningful for a model that was trained briefly.
  const highest = Math.max(...scores, 0) || 1;
  const limit = [...scores].sort((a, b) => b - a)[Math.min(BOLD_WORDS, count) - 1];
  const spans = scores.map((score, index) => {
    const node = element("span", undefined, score >= limit ? "word likely" : "word");
    const weight = (score / highest) ** 2;
    const color = LOWEST.map((low, i) => Math.round(low + weight * (HIGHEST[i] - low)));
    node.style.backgroundColor = `rgb(${color.join(", ")})`;
    node.title = percent(score);
    return { start: outputs.start[index], end: outputs.end[index], node };
  });
  const note = "The color of a word shows the probability that it was replaced, relative to the highest here.";
  const rows = scores.map((score, index) => ({ score, cells: [outputs.word[index], bar(score), percent(score)] }));
  rows.sort((a, b) => b.score - a.score);
  return [marked(text, spans), element("p", note, "note"), table([], rows.slice(0, 10))];
}

function fillings(outputs) {
  const shown = [];
  for (let blank = 0; blank < outputs.num_blanks; blank++) {
    const rows = outputs.token[blank].map((token, index) => {
      const score = outputs.score[blank][index];
      return [token, bar(score), percent(score)];
    });
    shown.push(element("h2", `blank ${blank + 1}`), table([], rows));
  }
  return shown.length ? shown : [element("p", "The text has no blank: write [MASK] or ___.", "note")];
}

function entities(text, outputs) {
  const count = outputs.num_entities ?? outputs.entity_label.length;
  const spans = outputs.entity_label.slice(0, count).map((label, index) => {
    const node = element("mark", undefined, "entity");
    node.appendChild(element("span", label, "entity-label"));
    node.title = percent(outputs.entity_score?.[index] ?? 0);
    return { start: outputs.entity_start[index], end: outputs.entity_end[index], node };
  });
  const rows = spans.map((span, index) => [
    outputs.entity_label[index],
    outputs.entity_text?.[index] ?? "",
    percent(outputs.entity_score?.[index] ?? 0),
  ]);
  const heads = rows.length ? ["label", "text", "score"] : ["no entity found"];
  return [marked(text, spans), table(heads, rows)];
}

function answerIn(context, outputs) {
  const answer = outputs.answer || "no answer";
  const span = { start: outputs.start, end: outputs.end, node: element("mark", undefined, "answer") };
  const line = element("p", `${answer} (${percent(outputs.score)})`, "chosen");
  return [line, marked(context, outputs.answer ? [span] : [])];
}

function classes(outputs) {
  const rows = outputs.classes.map((name, index) => ({
    score: outputs.scores[index],
    chosen: outputs.predicted ? outputs.predicted[index] : name === outputs.label,
    cells: [name, bar(outputs.scores[index]), percent(outputs.scores[index])],
  }));
  rows.sort((a, b) => b.score - a.score);
  return [table([], rows)];
}

function choices(texts, outputs) {
  const rows = texts.map((text, index) => ({
    chosen: index === outputs.choice,
    cells: [text, bar(outputs.scores[index]), percent(outputs.scores[index])],
  }));
  return [table([], rows)];
}

function plainTable(outputs) {
  const rows = Object.entries(outputs).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return [name, text.length > 2000 ? `${text.slice(0, 2000)} ...` : text];
  });
  return table(["output", "value"], rows);
}

// === Start ===

async function start() {
  byId("form").addEventListener("submit", run);
  byId("model").addEventListener("change", showModel);
  byId("signature").addEventListener("change", showInputs);
  try {
    models = (await fetched("v1/models")).models;
    options(byId("model"), models.map((each) => each.name));
    showModel();
  } catch (error) {
    showStatus(error.message, true);
  }
}

start();
