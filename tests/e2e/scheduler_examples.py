"""The code examples of D3's document, word for word."""

PYTHON = """\
import httpx

BASE_URL = "http://localhost:8000"
TOKEN = "your-jwt-token"

headers = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json"
}

# Create a job
response = httpx.post(
    f"{BASE_URL}/api/jobs",
    headers=headers,
    json={
        "account_id": "account-uuid",
        "name": "Daily Backup",
        "schedule": "0 2 * * *",
        "type": 1
    }
)
job = response.json()
print(f"Created job: {job['id']}")

# Create webhook for job
response = httpx.post(
    f"{BASE_URL}/webhooks",
    headers=headers,
    json={
        "job_id": job["id"],
        "url": "https://api.example.com/webhook",
        "method": "POST",
        "headers": {
            "Authorization": "Bearer api-key"
        },
        "body_template": '{"action": "backup"}'
    }
)
webhook = response.json()
print(f"Created webhook: {webhook['id']}")

# Get job executions
response = httpx.get(
    f"{BASE_URL}/api/jobs/{job['id']}/executions",
    headers=headers
)
executions = response.json()
print(f"Found {executions['total']} executions")
"""

TYPESCRIPT = """\
const BASE_URL = 'http://localhost:8000';
const TOKEN = 'your-jwt-token';

const headers = {
  'Authorization': `Bearer ${TOKEN}`,
  'Content-Type': 'application/json'
};

// Create a job
const jobResponse = await fetch(`${BASE_URL}/api/jobs`, {
  method: 'POST',
  headers,
  body: JSON.stringify({
    account_id: 'account-uuid',
    name: 'Daily Backup',
    schedule: '0 2 * * *',
    type: 1
  })
});
const job = await jobResponse.json();
console.log(`Created job: ${job.id}`);

// Create webhook for job
const webhookResponse = await fetch(`${BASE_URL}/webhooks`, {
  method: 'POST',
  headers,
  body: JSON.stringify({
    job_id: job.id,
    url: 'https://api.example.com/webhook',
    method: 'POST',
    headers: {
      'Authorization': 'Bearer api-key'
    },
    body_template: JSON.stringify({ action: 'backup' })
  })
});
const webhook = await webhookResponse.json();
console.log(`Created webhook: ${webhook.id}`);

// Get job executions
const executionsResponse = await fetch(
  `${BASE_URL}/api/jobs/${job.id}/executions`,
  { headers }
);
const executions = await executionsResponse.json();
console.log(`Found ${executions.total} executions`);
"""

# The three commands of the shell script; what it does with `jq` is left to who runs them.

SCRIPT_JOB = r"""
curl -s -X POST "$BASE_URL/api/jobs" \
  -H "Authorization: Bearer $TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "account_id": "account-uuid",
    "name": "Daily Backup",
    "schedule": "0 2 * * *",
    "type": 1
  }'
"""
SCRIPT_WEBHOOK = r"""
curl -s -X POST "$BASE_URL/webhooks" \
  -H "Authorization: Bearer $TOKEN" \
  -H "Content-Type: application/json" \
  -d "{
    \"job_id\": \"$JOB_ID\",
    \"url\": \"https://api.example.com/webhook\",
    \"method\": \"POST\",
    \"body_template\": \"{\\\"action\\\": \\\"backup\\\"}\"
  }"
"""
SCRIPT_EXECUTIONS = r"""
curl -s "$BASE_URL/api/jobs/$JOB_ID/executions" \
  -H "Authorization: Bearer $TOKEN"
"""

CREATE_JOB = r"""
curl -X POST http://localhost:8000/api/jobs \
  -H "Authorization: Bearer YOUR_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "account_id": "123e4567-e89b-12d3-a456-426614174000",
    "name": "Daily Backup",
    "schedule": "0 2 * * *",
    "type": 1
  }'
"""
GET_JOB = r"""
curl http://localhost:8000/api/jobs/job-uuid \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
LIST_JOBS = r"""
curl "http://localhost:8000/api/jobs?account_id=account-uuid&limit=50" \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
UPDATE_JOB = r"""
curl -X PUT http://localhost:8000/api/jobs/job-uuid \
  -H "Authorization: Bearer YOUR_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "enabled": false
  }'
"""
DELETE_JOB = r"""
curl -X DELETE http://localhost:8000/api/jobs/job-uuid \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
ENABLE_JOB = r"""
curl -X PATCH http://localhost:8000/api/jobs/job-uuid/enable \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
DISABLE_JOB = r"""
curl -X PATCH http://localhost:8000/api/jobs/job-uuid/disable \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
EXECUTIONS = r"""
curl http://localhost:8000/api/jobs/job-uuid/executions \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
FAILED_EXECUTIONS = r"""
curl "http://localhost:8000/api/jobs/job-uuid/executions?status=failure" \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
CREATE_WEBHOOK = r"""
curl -X POST http://localhost:8000/webhooks \
  -H "Authorization: Bearer YOUR_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "job_id": "job-uuid",
    "url": "https://api.example.com/webhook",
    "method": "POST",
    "headers": {
      "Authorization": "Bearer api-key"
    },
    "body_template": "{\"action\": \"backup\"}"
  }'
"""
HEALTH = r"""
curl http://localhost:8000/health
"""
METRICS = r"""
curl http://localhost:8000/metrics \
  -H "Authorization: Bearer YOUR_TOKEN"
"""
