(() => {
  const sheet = JSON.parse($("sheet").textContent);
  const key = `batchflow-labels ${sheet.name} ${sheet.items.map((one) => `${one.keys.custom_id}#${one.keys.sample}`).join(" ")}`;
  const words = { human_answer_correct: "Is the answer right?", human_justification_correct: "Is the justification right?" };
  let said = sheet.items.map(() => ({})), at = 0, changed = false;
  try { said = JSON.parse(localStorage.getItem(key)) || said; } catch { /* nothing is kept where nothing may be */ }

  const keep = () => {
    changed = true;
    try { localStorage.setItem(key, JSON.stringify(said)); } catch { /* as above */ }
    tell();
  };
  const tell = () => {
    const done = said.filter((one) => sheet.fields.every((field) => typeof one[field] === "boolean")).length;
    $("status").textContent = `${done} of ${sheet.items.length} answers judged`;
  };
  const part = (node, title, text) => {
    const shown = Array.isArray(text) ? text.join("\n") : text;
    if (shown) node.append(el("h4", "", title), el("p", `text ${title === "Answer" ? "boxed" : ""}`, shown));
  };
  const choice = (i, field) => {
    const group = el("fieldset", "choice");
    group.append(el("legend", "", words[field] || field));
    for (const [word, value] of [["Right", true], ["Wrong", false], ["Leave open", null]]) {
      const label = el("label"), input = el("input");
      input.type = "radio";
      input.name = `${field}-${i}`;
      input.checked = (said[i][field] ?? null) === value;
      input.addEventListener("change", () => { said[i][field] = value; keep(); });
      label.append(input, ` ${word}`);
      group.append(label);
    }
    return group;
  };
  const card = (one, i) => {
    const node = el("section", "answer");
    node.id = `answer-${i}`;
    node.tabIndex = -1;
    node.append(el("h2", "", `${i + 1}. ${one.keys.custom_id}${one.keys.sample ? ` #${one.keys.sample}` : ""}`));
    part(node, "Question", one.shown.question);
    for (const address of one.pictures) {
      const image = el("img");
      image.src = address;
      image.alt = "Picture of the question";
      node.append(image);
    }
    part(node, "Context", one.shown.context);
    part(node, "Options", one.shown.options);
    part(node, "Reference", one.shown.references);
    const extracted = one.shown.extracted || {};
    for (const [name, text] of Object.entries(extracted)) {
      if (name !== "answer") part(node, name[0].toUpperCase() + name.slice(1), String(text));
    }
    part(node, "Answer", "answer" in extracted ? String(extracted.answer) : one.shown.answer);
    node.append(...sheet.fields.map((field) => choice(i, field)));
    node.addEventListener("focusin", () => { at = i; });
    return node;
  };
  const go = (i) => {
    at = Math.min(sheet.items.length - 1, Math.max(0, i));
    $(`answer-${at}`).focus({ preventScroll: true });
    $(`answer-${at}`).scrollIntoView({ block: "start" });
  };
  const rows = () => sheet.items.map((one, i) => ({ ...one.keys, ...said[i] })).filter((row, i) => sheet.fields.some((field) => typeof said[i][field] === "boolean"));
  const save = () => {
    const text = rows().map((row) => JSON.stringify(row)).join("\n");
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([text ? `${text}\n` : ""], { type: "application/jsonl" }));
    link.download = `${sheet.name}.labels.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    changed = false;
  };
  $("answers").append(...sheet.items.map(card));
  tell();
  $("save").addEventListener("click", save);
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at - 1);
    else if ("120".includes(event.key)) {
      const boxes = [...$(`answer-${at}`).querySelectorAll("fieldset")];
      const box = boxes.find((one) => one.contains(document.activeElement)) || boxes.find((one, n) => (said[at][sheet.fields[n]] ?? null) === null) || boxes[0];
      box.querySelectorAll("input")[{ 1: 0, 2: 1, 0: 2 }[event.key]].click();
      if (boxes.every((one, n) => typeof said[at][sheet.fields[n]] === "boolean")) go(at + 1);
    }
  });
})();
