"use strict";
const element = (tag, text, className) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((name) => name !== "null").join(" or ") + " (optional)";
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.format || schema.contentMediaType || schema.type || "";
}

const limits = (schema) =>
  ["minimum", "maximum", "exclusiveMinimum", "maxLength", "minItems", "maxItems", "default"]
    .filter((name) => schema[name] !== undefined)
    .map((name) => `${name} ${JSON.stringify(schema[name])}`)
    .join(", ");

function fields(operation, schemas) {
  const rows = (operation.parameters || []).map((p) => [p.name, p.in, p.required, p.schema, p.description]);
  for (const body of Object.values(operation.requestBody?.content || {})) {
    const schema = body.schema.$ref ? schemas[typeOf(body.schema)] : body.schema;
    for (const [name, property] of Object.entries(schema.properties || {}))
      rows.push([name, "body", (schema.required || []).includes(name), property, property.description]);
  }
  return rows;
}

function route(path, method, operation, schemas) {
  const box = element("section", undefined, "route");
  const title = element("h3");
  title.append(element("b", method.toUpperCase()), " " + path);
  box.append(title, element("p", operation.description || operation.summary));
  const rows = fields(operation, schemas);
  if (rows.length) {
    const table = element("table");
    for (const [name, where, required, schema, description] of rows) {
      const row = table.insertRow();
      const words = [required ? "required" : "", limits(schema), description || ""].filter(Boolean).join("; ");
      for (const text of [name, where, typeOf(schema), words]) row.insertCell().append(element("code", text));
    }
    box.append(table);
  }
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const schema = Object.values(answer.content || {})[0]?.schema;
    return `${status} ${typeOf(schema) || answer.description}`;
  });
  box.append(element("p", "answers: " + answers.join(" · ")));
  return box;
}

function model(name, schema) {
  const box = element("section", undefined, "route");
  box.append(element("h3", name), element("p", schema.description || ""));
  const table = element("table");
  for (const [field, property] of Object.entries(schema.properties || {})) {
    const row = table.insertRow();
    for (const text of [field, typeOf(property), property.description || ""]) row.insertCell().append(element("code", text));
  }
  box.append(table);
  return box;
}

async function draw() {
  const api = await (await fetch("/openapi.json")).json();
  document.getElementById("about").textContent = `${api.info.description} (version ${api.info.version})`;
  const schemas = api.components.schemas;
  const routes = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => route(path, method, operation, schemas)));
  const models = Object.entries(schemas).map(([name, schema]) => model(name, schema));
  document.getElementById("routes").replaceChildren(...routes, element("h2", "Bodies"), ...models);
}
draw();
